"""Validates the messages of a stream."""

from __future__ import annotations

from dataclasses import dataclass

from anima.common.v1 import Interrupt
from anima.tts.v1 import SynthesizeConfig, TextSegment
from services.runtime.errors import InvalidRequest
from services.runtime.validation import check_range, check_rate, check_text, check_turn_id
from services.tts.engine import VoiceInfo
from services.tts.voices import VoiceBook

MAX_TEXT_CHARS = 2_000
_MAX_VOICE_NAMES = 32
_MAX_UINT32 = 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True)
class SpeechConfig:
    """The settings of a stream: the config with its defaults filled in.

    Attributes:
        turn_id: The turn.
        epoch: The epoch of the session.
        voices: The requested names.
        voice: The voice of segments that do not set another language.
        sample_rate_hz: Sample rate of all audio of the stream.
        rate_percent: 50 to 200.
        pitch_percent: 50 to 200.
        volume_percent: 1 to 200.
    """

    turn_id: str
    epoch: int
    voices: tuple[str, ...]
    voice: VoiceInfo
    sample_rate_hz: int
    rate_percent: int
    pitch_percent: int
    volume_percent: int


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A segment to speak, and its voice."""

    number: int
    text: str
    start_char: int
    voice: VoiceInfo


def check_config(config: SynthesizeConfig, book: VoiceBook) -> SpeechConfig:
    """Checks the config and chooses the voice.

    Raises:
        InvalidRequest: A field is invalid.
        NotFound: The one voice named is unknown.
        FailedPrecondition: No voice speaks the language.
    """
    check_turn_id("config.turn_id", config.turn_id)
    if config.sample_rate_hz:
        check_rate("config.sample_rate_hz", config.sample_rate_hz)
    rate, pitch, volume = config.rate_percent, config.pitch_percent, config.volume_percent
    check_range("config.rate_percent", rate or 100, 50, 200)
    check_range("config.pitch_percent", pitch or 100, 50, 200)
    check_range("config.volume_percent", volume or 100, 1, 200)
    if len(config.voices) > _MAX_VOICE_NAMES:
        raise InvalidRequest(
            f"config.voices: must be at most {_MAX_VOICE_NAMES} names, got {len(config.voices)}"
        )
    voice = book.choose(config.voices, config.language)
    return SpeechConfig(
        turn_id=config.turn_id,
        epoch=config.epoch,
        voices=tuple(config.voices),
        voice=voice,
        sample_rate_hz=config.sample_rate_hz or voice.sample_rate_hz,
        rate_percent=rate or 100,
        pitch_percent=pitch or 100,
        volume_percent=volume or 100,
    )


def check_segment(
    text: TextSegment, *, expected: int, config: SpeechConfig, book: VoiceBook
) -> Segment:
    """Checks a segment and chooses its voice.

    Raises:
        InvalidRequest: Its number is not `expected`, or its text or language is invalid.
        FailedPrecondition: No voice speaks its language.
    """
    if text.segment != expected:
        raise InvalidRequest(f"text.segment: must be {expected}, the next one, got {text.segment}")
    if not text.text:
        raise InvalidRequest("text.text: must not be empty")
    check_text("text.text", text.text, MAX_TEXT_CHARS, min_chars=0)
    if text.start_char + len(text.text) > _MAX_UINT32:
        raise InvalidRequest(
            f"text.start_char: {text.start_char} is too large for the length of the text"
        )
    voice = book.for_segment(config.voices, config.voice, language=text.language, text=text.text)
    return Segment(number=expected, text=text.text, start_char=text.start_char, voice=voice)


def check_interrupt(interrupt: Interrupt, config: SpeechConfig) -> int:
    """Returns the new epoch.

    Raises:
        InvalidRequest: It is not above the config's epoch.
    """
    if interrupt.epoch <= config.epoch:
        raise InvalidRequest(
            f"interrupt.epoch: {interrupt.epoch} is not above the stream's epoch {config.epoch}"
        )
    return interrupt.epoch
