"""Measurements of a rendered face."""
