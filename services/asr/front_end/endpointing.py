"""A state machine that turns speech probabilities into starts, guesses and ends of utterances.

It is independent of audio and recognisers: it takes one probability per window of audio and
returns events whose sample indexes count from the start of the stream.
"""

import enum
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class EndpointingLimits:
    """The limits of `anima.asr.v1.Endpointing`, with their defaults.

    Attributes:
        start_speech_ms: Speech that must be heard before an utterance starts.
        guess_silence_ms: Silence after which the end is guessed. There is no guess unless this is
            shorter than `end_silence_ms`.
        end_silence_ms: Silence that ends the utterance.
        max_utterance_ms: Maximum length of an utterance; a longer one ends as if by silence.
        pre_roll_ms: Audio before the first window of speech that is added to the utterance, so that
            its first sound is not lost.
    """

    start_speech_ms: int = 96
    guess_silence_ms: int = 200
    end_silence_ms: int = 500
    max_utterance_ms: int = 30_000
    pre_roll_ms: int = 256


@dataclass(frozen=True, kw_only=True)
class UtteranceStarted:
    """Speech began at `at_sample`; the utterance's audio begins at `audio_from_sample`."""

    at_sample: int
    audio_from_sample: int


@dataclass(frozen=True, kw_only=True)
class EndGuessed:
    """Speech has probably ended; `at_sample` is the sample after the last sample of speech."""

    at_sample: int


@dataclass(frozen=True, kw_only=True)
class SpeechWentOn:
    """The last guess was wrong: speech continues at `at_sample`."""

    at_sample: int
    audio_from_sample: int


@dataclass(frozen=True, kw_only=True)
class UtteranceEnded:
    """The utterance has ended; `at_sample` is the sample after the last sample of speech."""

    at_sample: int


EndpointEvent = UtteranceStarted | EndGuessed | SpeechWentOn | UtteranceEnded


class _State(enum.Enum):
    IDLE = enum.auto()
    SPEECH = enum.auto()
    GUESSED = enum.auto()


class Endpointer:
    """Turns speech probabilities into utterances.

    A window counts as speech from `SPEECH_FROM` on and as silence below `SILENCE_BELOW`; a value in
    between changes nothing. This is the hysteresis of Silero's own iterator: enter at 0.5, leave
    0.15 lower.

    Args:
        limits: When utterances start and end.
        sample_rate_hz: The sample rate of the windows and of all events.
        window_samples: Samples per probability.
    """

    SPEECH_FROM: ClassVar[float] = 0.5
    SILENCE_BELOW: ClassVar[float] = 0.35

    def __init__(
        self, limits: EndpointingLimits, *, sample_rate_hz: int, window_samples: int
    ) -> None:
        self._rate = sample_rate_hz
        self._window = window_samples
        self._start_speech = self._samples(limits.start_speech_ms)
        self._guess_silence = self._samples(limits.guess_silence_ms)
        self._end_silence = self._samples(limits.end_silence_ms)
        self._max_utterance = self._samples(limits.max_utterance_ms)
        self._pre_roll = self._samples(limits.pre_roll_ms)
        self._state = _State.IDLE
        self._position = 0
        self._start = 0
        self._floor = 0
        self._heard = 0
        self._silence_from: int | None = None

    @property
    def in_utterance(self) -> bool:
        """Whether an utterance is open."""
        return self._state is not _State.IDLE

    @property
    def keep_from_sample(self) -> int:
        """The oldest sample that a later event may still need as `audio_from_sample`."""
        if self._state is _State.IDLE and self._heard:
            return self._audio_from(self._start)
        return self._audio_from(self._position)

    def accept(self, speech_probability: float) -> list[EndpointEvent]:
        """Takes the probability (0 to 1) of the next window and returns the resulting events."""
        at = self._position
        self._position += self._window
        if self._state is _State.IDLE:
            return self._wait_for_speech(at, speech_probability)
        events: list[EndpointEvent] = []
        if speech_probability >= self.SPEECH_FROM:
            if self._state is _State.GUESSED:
                events.append(SpeechWentOn(at_sample=at, audio_from_sample=self._audio_from(at)))
                self._state = _State.SPEECH
            self._silence_from = None
        elif speech_probability < self.SILENCE_BELOW and self._silence_from is None:
            self._silence_from = at
        return events + self._check_limits()

    def finish(self) -> list[EndpointEvent]:
        """Ends the open utterance, if any, at the end of its speech."""
        return [self._end()] if self.in_utterance else []

    def drop(self) -> None:
        """Discards the open utterance; the next one uses no audio from before this call."""
        self._state = _State.IDLE
        self._heard = 0
        self._silence_from = None
        self._floor = self._position

    def _wait_for_speech(self, at: int, speech_probability: float) -> list[EndpointEvent]:
        if speech_probability >= self.SPEECH_FROM:
            if self._heard == 0:
                self._start = at
            self._heard += self._window
        elif speech_probability < self.SILENCE_BELOW:
            self._heard = 0
        if self._heard == 0 or self._heard < self._start_speech:
            return []
        self._state = _State.SPEECH
        self._heard = 0
        started = UtteranceStarted(
            at_sample=self._start, audio_from_sample=self._audio_from(self._start)
        )
        return [started, *self._check_limits()]

    def _check_limits(self) -> list[EndpointEvent]:
        if self._position - self._start >= self._max_utterance:
            return [self._end()]
        if self._silence_from is None:
            return []
        silence = self._position - self._silence_from
        if silence >= self._end_silence:
            return [self._end()]
        if silence >= self._guess_silence and self._state is _State.SPEECH:
            self._state = _State.GUESSED
            self._floor = self._silence_from
            return [EndGuessed(at_sample=self._silence_from)]
        return []

    def _end(self) -> UtteranceEnded:
        at = self._position if self._silence_from is None else self._silence_from
        self._state = _State.IDLE
        self._silence_from = None
        self._heard = 0
        self._floor = at
        return UtteranceEnded(at_sample=at)

    def _audio_from(self, at: int) -> int:
        return max(at - self._pre_roll, self._floor)

    def _samples(self, duration_ms: int) -> int:
        return duration_ms * self._rate // 1000
