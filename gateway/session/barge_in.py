"""Speech during an answer, is it an interruption: a pure state machine over the words.

The answer is held at the first sound, which costs nobody anything; what was said decides whether it
goes on where it stopped (a cough, "uh-huh") or is over. Every event may give a move; the same
events give the same moves, so that a recording of them can be replayed.
"""

from __future__ import annotations

import enum

from gateway.session.utterances import Said, classify

# An answer is not held longer than that by a noise that is no speech.
HOLD_S = 2.0
# One word of a partial result may still turn out to be a cough.
_SURE_WORDS = 2


class Move(enum.Enum):
    """What happens to the answer."""

    RESUME = enum.auto()
    INTERRUPT = enum.auto()


class BargeIn:
    """Follows one utterance that began during an answer.

    Args:
        answerable: The answer is about to end by itself, so that "yes" is an answer to it.

    Attributes:
        decided: What was decided at last; None while the answer is held.
    """

    def __init__(self, *, answerable: bool = False) -> None:
        self.decided: Move | None = None
        self._answerable = answerable
        self._text = ""

    def partial(self, text: str) -> Move | None:
        """Takes what is recognised so far."""
        self._text = text
        if self._counts(text, 0.0) and (len(text.split()) >= _SURE_WORDS or not text.isascii()):
            return self._decide(Move.INTERRUPT)
        return None

    def over(self, text: str, *, seconds: float) -> Move | None:
        """Takes the result, or the guess at it.

        Args:
            text: What was recognised.
            seconds: How long the speech was.
        """
        self._text = text
        return self._decide(Move.INTERRUPT if self._counts(text, seconds) else Move.RESUME)

    def expired(self) -> Move | None:
        """Notes that the answer has been held for `HOLD_S`."""
        if self.decided is not None:
            return None
        return self._decide(Move.INTERRUPT if self._counts(self._text, 0.0) else Move.RESUME)

    def _counts(self, text: str, seconds: float) -> bool:
        said = classify(text, seconds=seconds)
        if said is Said.BACKCHANNEL:
            return self._answerable
        return said in (Said.SPEECH, Said.STOP)

    def _decide(self, move: Move) -> Move | None:
        # Nothing follows an interruption; an answer that was resumed can still be interrupted.
        if self.decided in (move, Move.INTERRUPT):
            return None
        self.decided = move
        return move
