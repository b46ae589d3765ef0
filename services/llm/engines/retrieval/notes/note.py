"""A note of something that the person told."""

from __future__ import annotations

from dataclasses import dataclass

from text.facts.candidate import Candidate
from text.facts.reality import Reality


@dataclass(frozen=True, kw_only=True)
class Note:
    """A clause that the person said, or a fact in it."""

    text: str
    """In the person's words, with dates instead of relative times."""
    clause: str
    """The clause that says it; a fact and its clause have the same one."""
    subject: str
    reality: Reality
    turn: int
    """The number of the message; memories come before the history."""
    source: str
    """The whole message."""
    score: float = 1.0
    """How well the memory matches the question; 1 for the history."""
    in_session: bool = True
    fact: Candidate | None = None
    by_engine: bool = False
