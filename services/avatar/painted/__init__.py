"""Painted faces made of layers."""
