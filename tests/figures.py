"""Figures that a test measured, printed together at the end of the run."""

from __future__ import annotations

figures: list[str] = []


def report(text: str) -> None:
    """Adds a line to the figures of the run."""
    figures.append(" ".join(text.split()))
