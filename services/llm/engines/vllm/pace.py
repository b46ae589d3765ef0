"""How fast the engine writes, and when a clause is there to be spoken."""

from __future__ import annotations

import re
from typing import Final

_DECIDING: Final = ",;，。！？；：、"
_STOPS: Final = ".!?:"
CLAUSE_ENDS: Final = frozenset(_DECIDING + _STOPS)
_CLAUSE_END: Final = re.compile(f"[{_DECIDING}]|[{_STOPS}].")
"""A mark that decides by itself, or a stop and what tells that it is one."""
_OPENING_CHARS: Final = 32

OUTPUT_S: Final = 0.008
"""Less than any word takes to be spoken of; a model that writes slower hands out each token."""
_MOST_TOKENS: Final = 16
_WEIGHT: Final = 0.2


class Pace:
    """The time that the engine takes for a token, over its last answers."""

    def __init__(self) -> None:
        self._token_s = OUTPUT_S

    def stream_interval(self) -> int:
        """How many tokens vLLM is to hand out together after the first one.

        Each output of vLLM's costs its own process about as much as writing the token costs a small
        model on a CPU; see `SamplingParams.stream_interval`.
        """
        return max(1, min(_MOST_TOKENS, int(OUTPUT_S / self._token_s)))

    def note(self, tokens: int, duration_s: float) -> None:
        """Take an answer into account.

        Args:
            tokens: How many came after the first output.
            duration_s: The time from the first output to the last.
        """
        if tokens > 0:
            self._token_s += _WEIGHT * (duration_s / tokens - self._token_s)


class Opening:
    """The first clause of an answer, which is spoken while the rest is written."""

    def __init__(self) -> None:
        self._text = ""

    def ends_with(self, text: str) -> bool:
        """Whether it has surely ended, once more text is there."""
        if len(self._text) <= _OPENING_CHARS:
            self._text += text
        return len(self._text) > _OPENING_CHARS or bool(_CLAUSE_END.search(self._text))
