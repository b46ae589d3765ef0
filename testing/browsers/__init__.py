"""Browsers of this machine."""
