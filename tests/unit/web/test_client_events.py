"""The events of a client, and the errors for anything else."""

import base64
import json
import sys
from typing import Any

import pytest

from gateway.realtime.client_events import (
    ClientConfig,
    audio_of,
    parse_event,
    typed_text_of,
    whole_number,
)
from gateway.realtime.fmp4.speech_track import AudioCodec
from gateway.session.turns.turn_maker import MAX_QUESTION_CHARS
from services.runtime.errors import InvalidRequest


def message(text: Any) -> dict[str, Any]:
    part = {"type": "input_text", "text": text}
    return {"item": {"type": "message", "role": "user", "content": [part]}}


SURROGATES = [
    '{"type": "x", "event_id": "\\ud800"}',
    '{"type": "\\uDFFF"}',
    '{"type": "anima.playback", "turn_id": "\\ud83d", "played_samples": 1}',
    '{"type": "x", "\\udc00": 1}',
    '{"type": "x", "deep": [{"a": ["\\ud800 \\ud83d\\ude00"]}]}',
]


@pytest.mark.parametrize("text", SURROGATES)
def test_half_of_a_surrogate_pair_is_refused_wherever_it_is(text: str) -> None:
    with pytest.raises(InvalidRequest, match="surrogate"):
        parse_event(text)


def test_a_whole_pair_and_an_escaped_backslash_are_text() -> None:
    assert parse_event('{"type": "\\ud83d\\ude00"}')["type"] == "\N{GRINNING FACE}"
    assert parse_event('{"type": "\\\\ud800"}')["type"] == "\\ud800"


@pytest.mark.parametrize("letter", ["x", "\N{GREEK SMALL LETTER ALPHA}"])
def test_a_long_text_is_checked_without_a_step_for_each_character(letter: str) -> None:
    """A loop in Python took 11 ms for an event of 254 KB, and all sessions waited meanwhile."""
    part = {"type": "input_text", "text": letter * MAX_QUESTION_CHARS}
    item = {"type": "message", "role": "user", "content": [part] * 32}
    text = json.dumps({"type": "conversation.item.create", "item": item})
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        typed_text_of(parse_event(text))
    finally:
        sys.setprofile(None)
    assert steps < 2_000


def test_half_of_a_pair_in_a_text_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="valid Unicode"):
        typed_text_of(message("\ud800"))


def test_session_of_the_openai_realtime_api_is_understood() -> None:
    config = ClientConfig().updated(
        {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": "ignored",
            "audio": {
                "input": {"format": {"type": "audio/pcm", "rate": 24_000}},
                "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "slt"},
            },
        }
    )

    assert config.converse_config().voice == "slt"
    assert config.converse_config().input_sample_rate_hz == 24_000
    assert config.converse_config().audio_only
    assert not config.converse_config().text_only


def test_own_part_chooses_media_persona_and_memory() -> None:
    own = {
        "persona": "anima",
        "language": "zh",
        "user_id": "u1",
        "media": "fmp4",
        "audio_codecs": ["flac", "mp4a.40.2", "opus"],
    }

    config = ClientConfig().updated({"anima": own})

    assert config.audio_codecs == (AudioCodec.AAC, AudioCodec.OPUS)
    assert config.converse_config().persona == "anima"
    assert config.converse_config().language == "zh"
    assert config.converse_config().user_id == "u1"
    assert not config.converse_config().audio_only
    assert config.as_event()["anima"]["media"] == "fmp4"
    assert config.as_event()["anima"]["max_question_chars"] == MAX_QUESTION_CHARS


def test_update_leaves_alone_what_it_does_not_name() -> None:
    config = ClientConfig(persona="anima", voice="slt").updated({"output_modalities": ["text"]})

    assert (config.persona, config.voice, config.text_only) == ("anima", "slt", True)


@pytest.mark.parametrize(
    ("session", "fault"),
    [
        (None, "session: must be an object"),
        ({"audio": []}, "session.audio: must be an object"),
        (
            {"audio": {"input": {"format": {"rate": 7_999}}}},
            "session.audio.input.format.rate: 7999",
        ),
        ({"audio": {"input": {"format": {"rate": True}}}}, "rate: True"),
        ({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, "only 'audio/pcm'"),
        ({"output_modalities": ["video"]}, "session.output_modalities"),
        ({"anima": {"media": "webm"}}, "session.anima.media: 'webm' is not one of fmp4, pcm"),
        ({"anima": {"media": []}}, "session.anima.media"),
        ({"anima": {"persona": 5}}, "session.anima.persona: must be a string"),
        (
            {"anima": {"user_id": "x" * 201}},
            "session.anima.user_id: must be at most 200",
        ),
        ({"anima": {"language": "\ud800"}}, "session.anima.language: must be valid Unicode"),
        ({"anima": {"audio_codecs": ["flac"]}}, "session.anima.audio_codecs: must include"),
    ],
)
def test_wrong_session_is_refused_by_the_name_of_its_field(session: object, fault: str) -> None:
    with pytest.raises(InvalidRequest, match=fault.replace("(", r"\(")):
        ClientConfig().updated(session)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", '{"type": 1}', "{}", "[" * 100_000])
def test_what_is_not_an_event_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_event(text)


def test_typed_text_is_read() -> None:
    assert typed_text_of(message("你好")) == "你好"


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"item": {"type": "message", "role": "assistant", "content": []}},
        {"item": {"type": "function_call_output", "role": "user"}},
        {"item": {"type": "message", "role": "user", "content": "text"}},
        {"item": {"type": "message", "role": "user", "content": [{"type": "input_audio"}]}},
        message(None),
        message("x" * 8_001),
        message("\udfff"),
    ],
)
def test_item_that_is_not_typed_text_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="item"):
        typed_text_of(event)


def test_audio_is_read_from_base64() -> None:
    assert audio_of({"audio": base64.b64encode(b"\x01\x02").decode()}) == b"\x01\x02"


@pytest.mark.parametrize("audio", [None, "***", "A", "é"])
def test_audio_that_is_not_base64_is_refused(audio: object) -> None:
    with pytest.raises(InvalidRequest, match="audio"):
        audio_of({"audio": audio})


@pytest.mark.parametrize("value", [None, -1, 1.5, "5", True, 1 << 62])
def test_number_that_is_not_whole_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest, match="played_samples"):
        whole_number({"played_samples": value}, "played_samples")
