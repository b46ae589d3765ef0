"""Scripted stages: real gRPC servers whose answers, pace and failures are set by a test."""
