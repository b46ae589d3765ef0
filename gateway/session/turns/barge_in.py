"""Decides whether speech during an answer is an interruption: a pure state machine over words.

The answer is paused at the first sound, which does no harm; the recognised words decide whether it
resumes where it stopped (a cough, "uh-huh") or ends. Every event may return a move; the same events
return the same moves, so that a recording of them can be replayed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from gateway.session.turns.utterances import Said, classify

# The longest time for which noise that is not speech may hold an answer.
HOLD_S = 2.0
# A single word of a partial result may still turn out to be a cough.
_SURE_WORDS = 2


class Move(enum.Enum):
    """The decision about the answer."""

    RESUME = enum.auto()
    INTERRUPT = enum.auto()


class BargeIn:
    """Follows one utterance that began during an answer.

    Args:
        answerable: The answer is about to end by itself, so that "yes" is a reply to it.
        is_echo: Returns whether a text is the answer itself, heard through a loudspeaker.

    Attributes:
        decided: The last decision; None while the answer is held.
    """

    def __init__(
        self, *, answerable: bool = False, is_echo: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.decided: Move | None = None
        self._is_echo = is_echo
        self._answerable = answerable
        self._text = ""

    def partial(self, text: str) -> Move | None:
        """Takes the text recognised so far."""
        self._text = text
        if self._counts(text, 0.0) and (len(text.split()) >= _SURE_WORDS or not text.isascii()):
            return self._decide(Move.INTERRUPT)
        return None

    def over(self, text: str, *, seconds: float) -> Move | None:
        """Takes the final text, or a guess at it.

        Args:
            text: The recognised text.
            seconds: The duration of the speech.
        """
        self._text = text
        return self._decide(Move.INTERRUPT if self._counts(text, seconds) else Move.RESUME)

    def expired(self) -> Move | None:
        """Records that the answer has been held for `HOLD_S`."""
        if self.decided is not None:
            return None
        return self._decide(Move.INTERRUPT if self._counts(self._text, 0.0) else Move.RESUME)

    def _counts(self, text: str, seconds: float) -> bool:
        said = classify(text, seconds=seconds)
        if said is Said.BACKCHANNEL:
            return self._answerable
        return said is Said.STOP or (said is Said.SPEECH and not self._is_echo(text))

    def _decide(self, move: Move) -> Move | None:
        # Nothing follows an interruption; an answer that was resumed can still be interrupted.
        if self.decided in (move, Move.INTERRUPT):
            return None
        self.decided = move
        return move
