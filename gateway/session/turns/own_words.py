"""Recognises the words of an answer in what the microphone heard."""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Final

from gateway.listening.events import Utterance
from gateway.turn.turn import Turn
from services.runtime.process.clock import loop_time_s
from text.normal import normal

_RECENT: Final = 40
"""Words, or Chinese characters, that may still be under way to the microphone."""
_JUST_NOW: Final = 12
_ALIKE: Final = 0.7
"""The share of the words that must be those of the answer; echo is not recognised perfectly."""
_IN_A_ROW: Final = 0.5
_UNDER_WAY_S: Final = 2.0
"""How long after the end of an answer its echo may still begin."""


class OwnVoice:
    """Recognises the voice of the face by its words.

    It is the second line: most echo is removed from the audio (`gateway.listening.echo`).

    Args:
        hears_itself: Returns whether the microphone of the session hears the answers.
        turn: Returns the last answer.
    """

    def __init__(self, hears_itself: Callable[[], bool], turn: Callable[[], Turn | None]) -> None:
        self._hears_itself = hears_itself
        self._turn = turn
        self._ended_s = float("-inf")

    def ended(self) -> None:
        """Records that an answer has ended just now."""
        self._ended_s = loop_time_s()

    def said(self, text: str) -> bool:
        """Returns whether the face has said a text, just now or at the end of its last answer."""
        turn = self._turn()
        return turn is not None and self._hears_itself() and repeats(text, turn.heard_text)

    def said_last(self, utterance: Utterance) -> bool:
        """Returns whether an utterance is the end of an answer, which was still under way."""
        return utterance.started_at - self._ended_s < _UNDER_WAY_S and self.said(utterance.text)


def repeats(said: str, spoken: str) -> bool:
    """Returns whether a text repeats what was spoken last.

    Args:
        said: What the recogniser understood.
        spoken: The answer as far as it has been heard.
    """
    words, recent = _words(said), _words(spoken)[-_RECENT:]
    if len(words) < 2:
        return bool(words) and words[0] in recent[-_JUST_NOW:]
    matcher = SequenceMatcher(None, recent, words, autojunk=False)
    in_a_row = matcher.find_longest_match().size
    matched = sum(block.size for block in matcher.get_matching_blocks())
    return in_a_row >= max(2, _IN_A_ROW * len(words)) and matched >= _ALIKE * len(words)


def _words(text: str) -> list[str]:
    """Splits a text into words; of scripts without spaces each character counts as one."""
    words: list[str] = []
    for word in normal(text).split():
        words += [word] if word.isascii() else list(word)
    return words
