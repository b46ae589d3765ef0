"""Removes from a model's output what is not for the person: reasoning, calls written as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_REASONING: Final = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
_CALLS: Final = (
    ("<tool_call>", "</tool_call>"),
    ("<function_call>", "</function_call>"),
    ("<tool_response>", "</tool_response>"),
    ("<tool_code>", "</tool_code>"),
    ("[INST]", "[/INST]"),
    ("<<SYS>>", "<</SYS>>"),
)
_OPENERS: Final = tuple(opener for opener, _ in (*_REASONING, *_CALLS))
_CLOSERS: Final = tuple(closer for _, closer in _REASONING)
_CLOSER_OF_CALL: Final = dict(_CALLS)
_FIRST: Final = "<["


@dataclass
class ReasoningHabit:
    """Whether the answers of a model begin inside a block of reasoning.

    Its chat template may have opened the block. A setting can say so; otherwise the first end of a
    block without a beginning does, for the answers after it.
    """

    opens: bool = False
    learned: bool = False
    """Whether an answer has shown it; then one without any end of a block is no reasoning."""

    def learn(self) -> bool:
        """Takes note of an end without a beginning; returns whether that is new."""
        new = not self.opens
        self.opens, self.learned = True, self.learned or new
        return new

    def forget(self) -> None:
        """Takes note of an answer without reasoning."""
        if self.learned:
            self.opens = self.learned = False


class ReasoningFilter:
    """Drops `<think>...</think>` and similar blocks from a text that arrives in pieces of any size.

    An unclosed block is dropped up to the end. Models whose chat template has already opened the
    block write only its end: use a habit that says so.

    Attributes:
        ended_unopened: Whether a block ended that had no beginning. What was not returned before is
            dropped.
    """

    def __init__(self, habit: ReasoningHabit | None = None) -> None:
        habit = habit or ReasoningHabit()
        self._closers: tuple[str, ...] = _CLOSERS if habit.opens else ()
        self._kept_if_unclosed: list[str] | None = [] if habit.opens and habit.learned else None
        self._held = ""
        self.ended_unopened = False

    def feed(self, text: str) -> str:
        """Takes more text; returns the part that certainly belongs to the answer."""
        self._held += text
        kept: list[str] = []
        while True:
            markers = self._closers or (*_OPENERS, *_CLOSERS)
            found = [(self._held.find(marker), marker) for marker in markers]
            places = [place for place in found if place[0] >= 0]
            if not places:
                break
            position, marker = min(places)
            self._pass(self._held[:position], kept, marker)
            self._held = self._held[position + len(marker) :]
        undecided = _undecided(self._held, markers)
        self._take(self._held[: len(self._held) - undecided], kept)
        self._held = self._held[len(self._held) - undecided :]
        return "".join(kept)

    def finish(self) -> str:
        """Returns the text held back because it could have started a block."""
        held, self._held = self._held, ""
        if not self._closers:
            return held
        return "".join([*(self._kept_if_unclosed or ()), held if self._kept_if_unclosed else ""])

    @property
    def is_unclosed(self) -> bool:
        """Whether the answer was expected to begin inside a block that has not ended."""
        return bool(self._closers) and self._kept_if_unclosed is not None

    def _pass(self, before: str, kept: list[str], marker: str) -> None:
        if self._closers:
            self._closers, self._kept_if_unclosed = (), None
        elif marker in _CLOSERS:
            kept.clear()
            self.ended_unopened = True
        else:
            kept.append(before)
            closer = _CLOSER_OF_CALL.get(marker)
            self._closers = (closer,) if closer else _CLOSERS

    def _take(self, text: str, kept: list[str]) -> None:
        if not self._closers:
            kept.append(text)
        elif self._kept_if_unclosed is not None:
            self._kept_if_unclosed.append(text)


def _undecided(text: str, markers: tuple[str, ...]) -> int:
    """Counts the characters at the end that may start a marker."""
    longest = max(map(len, markers)) - 1
    for start in range(max(0, len(text) - longest), len(text)):
        if text[start] in _FIRST and any(one.startswith(text[start:]) for one in markers):
            return len(text) - start
    return 0
