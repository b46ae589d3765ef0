"""Floods of a gateway by clients without a token."""
