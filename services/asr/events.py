"""The events that the service reports for a stream.

All sample indexes count from the start of the stream, in the stream's own rate. The events of an
utterance come in this order: `SpeechStarted`, any number of `Partial`, any number of `EndGuess`
(each followed by a better `EndGuess` at the same sample, `SpeechResumed` or `Final`), one `Final`.
"""

from dataclasses import dataclass

from services.asr.engine import Word


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """The text that was recognised in a stretch of audio.

    Attributes:
        text: The text; empty if nothing was understood.
        words: The words of it in order.
        start_sample: The first sample of the audio that it comes from.
        sample_count: The length of that audio.
        confidence: How sure the recogniser is, 0 to 1; None if it cannot tell.
    """

    text: str
    words: tuple[Word, ...]
    start_sample: int
    sample_count: int
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class SpeechStarted:
    """The person has begun to speak."""

    at_sample: int


@dataclass(frozen=True, kw_only=True)
class Partial:
    """The transcript so far; replaces the previous one."""

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
