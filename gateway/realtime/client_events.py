"""The events of a client, named as in the OpenAI Realtime API, and a few of our own."""

import base64
import binascii
import json
import re
from dataclasses import dataclass, replace
from typing import Any, Self

from anima.gateway.v1.gateway_pb2 import ConverseConfig, SpeechChanged
from gateway.realtime.fmp4.speech_track import AudioCodec
from gateway.session.turns.turn_maker import MAX_QUESTION_CHARS
from gateway.turn.speaking.manner import FASTEST_PERCENT, SLOWEST_PERCENT, USUAL_PERCENT
from services.runtime.errors import InvalidRequest

OPENAI_RATE_HZ = 24_000
"""The default rate of PCM in both directions, as in the OpenAI Realtime API."""

MEDIA = ("fmp4", "pcm")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""Half of a pair can only be written as an escape: a WebSocket carries only valid UTF-8."""
_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")
_TEXTS = (
    *("persona", "avatar", "language", "user_id", "session_id"),
    *("time_zone", "notice_language"),
)


@dataclass(frozen=True, kw_only=True)
class ClientConfig:
    """The choices of a client for its session.

    Attributes:
        media: "fmp4" for live video, "pcm" for audio in `response.output_audio.delta`.
        audio_codecs: The codecs that the client can play in fMP4, best first.
        text_only: Make neither audio nor video.
        audio_only: Make no video.
        input_rate_hz: The rate of the microphone audio.
        output_rate_hz: The rate of PCM to the client.
        voice: The name of the voice; empty: the persona's.
        rate_percent: How fast it speaks, percent of the persona's speed.
    """

    media: str = "pcm"
    audio_codecs: tuple[AudioCodec, ...] = (AudioCodec.OPUS,)
    text_only: bool = False
    audio_only: bool = False
    input_rate_hz: int = OPENAI_RATE_HZ
    output_rate_hz: int = OPENAI_RATE_HZ
    voice: str = ""
    rate_percent: int = USUAL_PERCENT
    persona: str = ""
    avatar: str = ""
    language: str = ""
    user_id: str = ""
    session_id: str = ""
    time_zone: str = ""
    notice_language: str = ""

    def updated(self, session: object) -> Self:
        """Returns the configuration updated by the `session` of a `session.update`.

        Raises:
            InvalidRequest: A field is invalid; the text names it.
        """
        given = _mapping(session, "session")
        changes: dict[str, Any] = {}
        audio = _mapping(given.get("audio", {}), "session.audio")
        speech_in = _mapping(audio.get("input", {}), "session.audio.input")
        speech_out = _mapping(audio.get("output", {}), "session.audio.output")
        if "format" in speech_in:
            changes["input_rate_hz"] = _rate(speech_in["format"], "session.audio.input.format")
        if "format" in speech_out:
            changes["output_rate_hz"] = _rate(speech_out["format"], "session.audio.output.format")
        if "voice" in speech_out:
            changes["voice"] = _text(speech_out["voice"], "session.audio.output.voice")
        if "speed" in speech_out:
            changes["rate_percent"] = _percent(speech_out["speed"], "session.audio.output.speed")
        if "output_modalities" in given:
            changes["text_only"] = _modalities(given["output_modalities"]) == ["text"]
        own = _mapping(given.get("anima", {}), "session.anima")
        for name in _TEXTS:
            if name in own:
                changes[name] = _text(own[name], f"session.anima.{name}")
        if "audio_only" in own:
            changes["audio_only"] = own["audio_only"] is True
        if "media" in own:
            changes["media"] = _choice(own["media"], MEDIA, "session.anima.media")
        if "audio_codecs" in own:
            changes["audio_codecs"] = _codecs(own["audio_codecs"])
        return replace(self, **changes)

    def converse_config(self) -> ConverseConfig:
        """Returns the config with which the session is opened."""
        return ConverseConfig(
            session_id=self.session_id,
            user_id=self.user_id,
            persona=self.persona,
            language=self.language,
            voice=self.voice,
            rate_percent=self.rate_percent,
            avatar=self.avatar,
            time_zone=self.time_zone,
            notice_language=self.notice_language,
            input_sample_rate_hz=self.input_rate_hz,
            text_only=self.text_only,
            audio_only=not self.text_only and (self.audio_only or self.media == "pcm"),
        )

    def speaking(self, changed: SpeechChanged) -> Self:
        """Returns the configuration of the next session after a person has changed the speech."""
        return replace(self, voice=changed.voice, rate_percent=changed.rate_percent)

    def as_event(self) -> dict[str, Any]:
        """Returns the `session` of `session.created` and `session.updated`."""
        own = {name: getattr(self, name) for name in (*_TEXTS, "media", "audio_only")}
        return {
            "type": "realtime",
            "object": "realtime.session",
            "output_modalities": ["text"] if self.text_only else ["audio"],
            "audio": {
                "input": {"format": {"type": "audio/pcm", "rate": self.input_rate_hz}},
                "output": {
                    "format": {"type": "audio/pcm", "rate": self.output_rate_hz},
                    "voice": self.voice,
                    "speed": self.rate_percent / 100,
                },
            },
            "anima": own
            | {
                "audio_codecs": list(self.audio_codecs),
                "max_question_chars": MAX_QUESTION_CHARS,
            },
        }


def parse_event(text: str) -> dict[str, Any]:
    """Parses an event.

    Raises:
        InvalidRequest: It is not a JSON object with a `type`, or a string in it is not Unicode.
    """
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest("the message is not JSON") from None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise InvalidRequest("type: an event must be a JSON object with a type")
    if _SURROGATE.search(text) and not _is_unicode(event):
        raise InvalidRequest("the message holds half of a surrogate pair, which is not Unicode")
    return event


def _is_unicode(event: dict[str, Any]) -> bool:
    try:
        json.dumps(event, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def audio_of(event: dict[str, Any]) -> bytes:
    """Returns the samples of an `input_audio_buffer.append`."""
    try:
        return base64.b64decode(_text(event.get("audio"), "audio", 400_000), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("audio: must be base64") from None


def typed_text_of(event: dict[str, Any]) -> str:
    """Returns the text of a `conversation.item.create`.

    Raises:
        InvalidRequest: The item is not a message of the user with text.
    """
    item = _mapping(event.get("item"), "item")
    if item.get("type") != "message" or item.get("role") != "user":
        raise InvalidRequest("item: only messages with the role 'user' are accepted")
    content = item.get("content")
    if not isinstance(content, list):
        raise InvalidRequest("item.content: must be a list")
    parts = []
    for part in content:
        if _mapping(part, "item.content").get("type") != "input_text":
            raise InvalidRequest("item.content.type: only 'input_text' is accepted")
        parts.append(_text(part.get("text"), "item.content.text", MAX_QUESTION_CHARS))
    return "\n".join(parts)


def whole_number(event: dict[str, Any], name: str, least: int = 0) -> int:
    """Returns a field that must be a whole number of at least `least`."""
    value = event.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 62:
        raise InvalidRequest(f"{name}: must be a whole number, at least {least}")
    return value


def _mapping(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name}: must be an object")
    return value


def _text(value: object, name: str, max_chars: int = 200) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{name}: must be a string")
    if len(value) > max_chars:
        raise InvalidRequest(f"{name}: must be at most {max_chars} characters, got {len(value)}")
    if not value.isascii() and _HALF_OF_A_PAIR.search(value):
        raise InvalidRequest(f"{name}: must be valid Unicode")
    return value


def _choice(value: object, known: tuple[str, ...], name: str) -> str:
    if value not in known:
        raise InvalidRequest(f"{name}: {str(value)[:40]!r} is not one of {', '.join(known)}")
    return str(value)


def _rate(value: object, name: str) -> int:
    given = _mapping(value, name)
    if given.get("type", "audio/pcm") != "audio/pcm":
        raise InvalidRequest(f"{name}.type: only 'audio/pcm' is accepted")
    rate = given.get("rate", OPENAI_RATE_HZ)
    if isinstance(rate, bool) or not isinstance(rate, int) or not 8_000 <= rate <= 48_000:
        raise InvalidRequest(f"{name}.rate: {str(rate)[:20]} is not in 8000..48000")
    return rate


def _percent(value: object, name: str) -> int:
    least, most = SLOWEST_PERCENT / 100, FASTEST_PERCENT / 100
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidRequest(f"{name}: {str(value)[:20]} is not in {least}..{most}")
    return round(100 * value)


def _modalities(value: object) -> list[str]:
    if value not in (["text"], ["audio"]):
        raise InvalidRequest("session.output_modalities: must be ['audio'] or ['text']")
    return list(value) if isinstance(value, list) else []


def _codecs(value: object) -> tuple[AudioCodec, ...]:
    known = {codec.value: codec for codec in AudioCodec}
    if not isinstance(value, list):
        raise InvalidRequest("session.anima.audio_codecs: must be a list")
    codecs = tuple(known[name] for name in value if isinstance(name, str) and name in known)
    if not codecs:
        raise InvalidRequest(f"session.anima.audio_codecs: must include one of {', '.join(known)}")
    return codecs
