"""Painted faces in layers."""
