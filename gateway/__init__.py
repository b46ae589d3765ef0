"""The gateway: holds conversations, drives the stages and paces what people see and hear."""
