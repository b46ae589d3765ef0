"""The events that the service produces for a stream.

All sample indexes count from the start of the stream, at the stream's own rate. The events of an
utterance come in this order: `SpeechStarted`, any number of `Partial`, any number of `EndGuess`
(each followed by a better `EndGuess` at the same sample, `SpeechResumed` or `Final`), one `Final`.
"""

from dataclasses import dataclass

from services.asr.engine import Word


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """The text recognised in a stretch of audio.

    Attributes:
        text: The text; empty if nothing was understood.
        words: Its words in order.
        start_sample: The first sample of the audio it was recognised in.
        sample_count: The length of that audio.
        confidence: The recogniser's confidence, 0 to 1; None if it is unknown.
        language: BCP-47 language that was recognised; empty: that of the stream.
        foreign: Whether this was probably speech in another language.
    """

    text: str
    words: tuple[Word, ...]
    start_sample: int
    sample_count: int
    confidence: float | None = None
    language: str = ""
    foreign: bool = False


@dataclass(frozen=True, kw_only=True)
class SpeechStarted:
    """The person has started to speak."""

    at_sample: int


@dataclass(frozen=True, kw_only=True)
class Partial:
    """The text so far; replaces the previous one."""

    transcript: Transcript


@dataclass(frozen=True, kw_only=True)
class EndGuess:
    """The utterance has probably ended at `at_sample`."""

    at_sample: int
    transcript: Transcript


@dataclass(frozen=True, kw_only=True)
class SpeechResumed:
    """The last guess was wrong."""

    at_sample: int


@dataclass(frozen=True, kw_only=True)
class Final:
    """The result of the utterance."""

    transcript: Transcript


SpeechEvent = SpeechStarted | Partial | EndGuess | SpeechResumed | Final
