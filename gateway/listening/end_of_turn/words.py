"""Decides from the words and the pause together when a person has finished.

A pause alone is a poor sign: people pause longer within a sentence than between two speakers. The
words so far determine how long to wait: briefly after a complete question, long after "and". This
is the rule without a model; another `EndOfTurn` can replace it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.wording.book import BOOKS, DEFAULT, EndOfTurnWords, book_for
from text.languages import is_spaced, written_in
from text.normal import normal

COMPLETE_MS = 300
UNSURE_MS = 500
UNFINISHED_MS = 1_200
DOUBTED_MS = 600
# Below this the recogniser was guessing, so an unfinished sentence may be a misheard one.
_SURE_OF_LAST_WORD = 0.5
_SURE_OF_ALL = 0.6


@dataclass(frozen=True, kw_only=True)
class Pause:
    """The state of an utterance when its speaker has fallen silent.

    Attributes:
        text: The words so far.
        language: The language of speech recognition, BCP-47.
        confidence: The recogniser's confidence in them, 0 to 1; None if it reports none.
        last_confidence: Its confidence in the last word; None likewise.
        sample_rate_hz: Samples per second of the audio.
        audio: Returns the audio of the utterance so far, including a part of the pause: mono int16,
            at most the last `kept_s` seconds.
    """

    text: str
    language: str = DEFAULT
    confidence: float | None = None
    last_confidence: float | None = None
    sample_rate_hz: int = 16_000
    audio: Callable[[float], bytes] = lambda kept_s: b""

    @property
    def doubtful(self) -> bool:
        """True if the recogniser has probably misheard, by its own confidence."""
        last = self.last_confidence is not None and self.last_confidence < _SURE_OF_LAST_WORD
        return last or (self.confidence is not None and self.confidence < _SURE_OF_ALL)


class EndOfTurn(Protocol):
    """Decides for one session how long a pause must be to end an utterance."""

    async def silence_ms(self, pause: Pause) -> int:
        """Returns the silence that ends the utterance, ms; called again when the words change."""
        ...

    def went_on(self) -> None:
        """Records that the person was cut off, by speaking on shortly after the decided end."""
        ...


class TextAndPause:
    """Decides by the last words.

    Attributes:
        patience_ms: The additional wait; it grows when the person was cut off.
    """

    def __init__(self) -> None:
        self.patience_ms = 0

    async def silence_ms(self, pause: Pause) -> int:
        """Returns the silence that ends the utterance, ms."""
        return self.judge(pause)

    def judge(self, pause: Pause) -> int:
        """Returns the silence that ends the utterance, ms."""
        if is_unfinished(pause.text, pause.language):
            # A person who is answered too early goes on speaking; the question is then answered as
            # one.
            return DOUBTED_MS + self.patience_ms if pause.doubtful else UNFINISHED_MS
        if is_complete(pause.text, pause.language):
            return min(COMPLETE_MS + self.patience_ms, UNSURE_MS)
        return UNSURE_MS + self.patience_ms

    def went_on(self) -> None:
        """Waits longer from now on."""
        self.patience_ms = min(self.patience_ms + 100, 400)


def is_unfinished(text: str, language: str = DEFAULT) -> bool:
    """Returns whether a text certainly goes on.

    A full stop is no sign: recognisers put one after whatever they have heard so far. A question
    mark is, except after a word such as "the".

    Args:
        text: The words so far.
        language: The language of speech recognition.
    """
    stripped = text.rstrip()
    if stripped.endswith((",", "，", "、", "...", "…", ":", "-")):
        return True
    known = _words_for(text, language)
    if known is None:
        return False
    return known.is_hanging if _is_marked(stripped) else known.is_unfinished


def is_complete(text: str, language: str = DEFAULT) -> bool:
    """Returns whether a text looks like a complete question or answer; see `is_unfinished`."""
    if is_unfinished(text, language):
        return False
    if _is_marked(text.rstrip()):
        return True
    known = _words_for(text, language)
    return known is not None and known.is_complete


def _is_marked(text: str) -> bool:
    """Returns whether the recogniser has heard a question or an exclamation."""
    return text.endswith(("?", "!", "？", "！"))


@dataclass(frozen=True)
class _Known:
    """A text without punctuation, with the words of its language."""

    plain: str
    words: EndOfTurnWords
    spaced: bool

    @property
    def is_hanging(self) -> bool:
        return self._ends_with(self.words.hanging)

    @property
    def is_unfinished(self) -> bool:
        words = self.words
        if self._ends_with(words.stranded):
            return not self._is_question
        can_end = self._is_question and self._ends_with(words.ends_questions)
        return self._ends_with(words.unfinished) and not can_end

    @property
    def is_complete(self) -> bool:
        words = self.words
        if self.plain in words.whole:
            return True
        if self._is_long_enough and self._ends_with(words.complete_endings):
            return True
        return self._is_question and not self._ends_with(words.stranded)

    @property
    def _is_question(self) -> bool:
        begun = (
            self.plain.startswith(self.words.asking)
            if not self.spaced
            else (self.plain.split(" ", 1)[0] in self.words.asking)
        )
        return begun and self._is_long_enough

    @property
    def _is_long_enough(self) -> bool:
        length = len(self.plain.split()) if self.spaced else len(self.plain)
        return length >= self.words.min_length

    def _ends_with(self, endings: tuple[str, ...]) -> bool:
        if not self.spaced:
            return self.plain.endswith(endings)
        return f" {self.plain}".endswith(tuple(f" {ending}" for ending in endings))


def _words_for(text: str, language: str) -> _Known | None:
    """Returns a text with the words of its language; None: the language is not known."""
    plain = normal(text)
    tag = written_in(plain, (language, *BOOKS))
    book = None if tag is None else book_for(tag)
    if tag is None or book is None:
        return None
    return _Known(plain, book.end_of_turn, is_spaced(tag))
