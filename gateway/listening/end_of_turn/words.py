"""When a person has finished: the words and the pause together.

A pause alone is a poor sign: people pause within a sentence longer than between two speakers. What
was said so far tells how long to wait: little after a question that is whole, long after "and".
This is the rule without a model; another `EndOfTurn` can take its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.session.utterances import normal, word_set
from text.languages import is_chinese

COMPLETE_MS = 300
UNSURE_MS = 500
UNFINISHED_MS = 1_200
DOUBTED_MS = 600
# Below that a recogniser has rather guessed: an unfinished sentence may be one that was misheard.
_SURE_OF_LAST_WORD = 0.5
_SURE_OF_ALL = 0.6

_ASKING = word_set("""
    what who whom whose which when where why how is are am was were do does did can could will would
    shall should may have has had whats whos wheres hows isnt arent dont doesnt didnt cant couldnt
    wont wouldnt
    """)
_UNFINISHED = word_set("""
    and or but because so if when while although though unless than as that which who whose the a an
    my your his her its our their this these those i we they he she is are was were am be been being
    have has had do does did can could will would shall should may might must im youre its thats
    not very too really just um uh er erm hmm like well
    """)
_STRANDED = word_set(
    "of to for with in on at from by about into over under between after before up"
)
_WHOLE = word_set("""
    yes no yeah nope okay ok thanks hello hi hey goodbye bye please stop continue sure right
    """)
_WHOLE_PHRASES = frozenset({"thank you", "thank you very much", "good morning", "good evening"})
# Auxiliaries end a question as well as a statement that breaks off: "what can you do".
_ENDS_QUESTIONS = word_set("do does did is are was were be have has had can will this these those")
_MIN_WORDS = 3
_CHINESE_ENDS = ("吗", "呢", "吧", "么", "什么", "谁", "哪里", "怎么样", "谢谢", "你好", "再见")
_CHINESE_UNFINISHED = (
    "和", "跟", "与", "或", "或者", "但是", "可是", "因为", "所以", "如果", "的", "把", "被", "在",
    "对", "给", "从", "向", "而且", "然后", "就是", "那个", "这个", "嗯",
)  # fmt: skip
_MIN_CHINESE = 4


@dataclass(frozen=True, kw_only=True)
class Pause:
    """What is known of an utterance when its speaker has fallen silent.

    Attributes:
        text: The words so far.
        confidence: How sure the recogniser is of them, 0 to 1; None if it does not tell.
        last_confidence: How sure it is of the last word; None likewise.
        sample_rate_hz: Samples per second of the audio.
        audio: Gives the audio of the utterance up to now, a part of the pause included: mono int16,
            at most the last `kept_s` seconds.
    """

    text: str
    confidence: float | None = None
    last_confidence: float | None = None
    sample_rate_hz: int = 16_000
    audio: Callable[[float], bytes] = lambda kept_s: b""

    @property
    def doubtful(self) -> bool:
        """True if the recogniser says that it has probably misheard."""
        last = self.last_confidence is not None and self.last_confidence < _SURE_OF_LAST_WORD
        return last or (self.confidence is not None and self.confidence < _SURE_OF_ALL)


class EndOfTurn(Protocol):
    """Decides for one session how long a pause must be to end an utterance."""

    async def silence_ms(self, pause: Pause) -> int:
        """The silence that ends the utterance, ms; asked again when the words have changed."""
        ...

    def went_on(self) -> None:
        """Learns that the person was cut off: spoke on shortly after the end that was decided."""
        ...


class TextAndPause:
    """Judges by the last words.

    Attributes:
        patience_ms: What is waited in addition; rises when the person was cut off.
    """

    def __init__(self) -> None:
        self.patience_ms = 0

    async def silence_ms(self, pause: Pause) -> int:
        """The silence that ends the utterance, ms."""
        return self.judge(pause)

    def judge(self, pause: Pause) -> int:
        """The silence that ends the utterance, ms."""
        if is_unfinished(pause.text):
            # Who is answered too early goes on, and the question is then answered as one.
            return DOUBTED_MS + self.patience_ms if pause.doubtful else UNFINISHED_MS
        if is_complete(pause.text):
            return min(COMPLETE_MS + self.patience_ms, UNSURE_MS)
        return UNSURE_MS + self.patience_ms

    def went_on(self) -> None:
        """Waits longer from now on."""
        self.patience_ms = min(self.patience_ms + 100, 400)


def is_unfinished(text: str) -> bool:
    """Tells whether a text surely goes on."""
    stripped = text.rstrip()
    if stripped.endswith((",", "，", "、", "...", "…", ":", "-")):
        return True
    if _ends_a_sentence(stripped):
        return False
    plain = normal(text)
    words = plain.split()
    if not words:
        return False
    if is_chinese(plain):
        return plain.endswith(_CHINESE_UNFINISHED)
    last, question = words[-1], words[0] in _ASKING and len(words) >= _MIN_WORDS
    if last in _STRANDED:
        return not question
    return last in _UNFINISHED and not (question and last in _ENDS_QUESTIONS)


def is_complete(text: str) -> bool:
    """Tells whether a text looks like a whole question or answer."""
    if is_unfinished(text):
        return False
    if _ends_a_sentence(text.rstrip()):
        return True
    plain = normal(text)
    words = plain.split()
    if not words:
        return False
    if is_chinese(plain):
        return len(plain) >= _MIN_CHINESE and plain.endswith(_CHINESE_ENDS)
    if plain in _WHOLE_PHRASES or (len(words) == 1 and plain in _WHOLE):
        return True
    return words[0] in _ASKING and len(words) >= _MIN_WORDS and words[-1] not in _STRANDED


def _ends_a_sentence(text: str) -> bool:
    return text.endswith(("?", "!", "。", "？", "！")) or (
        text.endswith(".") and not text.endswith("..")
    )
