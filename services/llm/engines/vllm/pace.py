"""Measures the speed of the engine and detects the end of the first clause."""

from __future__ import annotations

import re
from typing import Final

_DECIDING: Final = ",;，。！？；：、"
_STOPS: Final = ".!?:"
CLAUSE_ENDS: Final = frozenset(_DECIDING + _STOPS)
_CLAUSE_END: Final = re.compile(f"[{_DECIDING}]|[{_STOPS}].")
"""A mark that is unambiguous by itself, or a stop with the character that confirms it."""
_OPENING_CHARS: Final = 32

OUTPUT_S: Final = 0.008
"""Less than the time to speak any word; a slower model sends every token."""
_MOST_TOKENS: Final = 16
_WEIGHT: Final = 0.2


class Pace:
    """The engine's average time per token over its last answers."""

    def __init__(self) -> None:
        self._token_s = OUTPUT_S

    def stream_interval(self) -> int:
        """Returns how many tokens vLLM should output together after the first one.

        Each vLLM output costs its own process about as much as generating the token costs a small
        model on a CPU; see `SamplingParams.stream_interval`.
        """
        return max(1, min(_MOST_TOKENS, int(OUTPUT_S / self._token_s)))

    def note(self, tokens: int, duration_s: float) -> None:
        """Updates the average with an answer.

        Args:
            tokens: The number of tokens after the first output.
            duration_s: The time from the first output to the last.
        """
        if tokens > 0:
            self._token_s += _WEIGHT * (duration_s / tokens - self._token_s)


class Opening:
    """The first clause of an answer, which is spoken while the rest is generated."""

    def __init__(self) -> None:
        self._text = ""

    def ends_with(self, text: str) -> bool:
        """Whether the clause has certainly ended after more text."""
        if len(self._text) <= _OPENING_CHARS:
            self._text += text
        return len(self._text) > _OPENING_CHARS or bool(_CLAUSE_END.search(self._text))
