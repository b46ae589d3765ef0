"""Scripted stages: real gRPC servers whose answers, pace and failures a test sets."""
