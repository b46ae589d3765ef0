"""How fast the engine writes: where it is fast, some tokens are handed out together."""

from __future__ import annotations

from typing import Final

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
