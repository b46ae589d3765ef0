"""The contract of speech with the pulled voices: a few turns, because each takes seconds."""

from __future__ import annotations

import grpc
import numpy as np

from anima.common.v1 import END_REASON_COMPLETE
from anima.tts.v1 import ListVoicesRequest
from testing.streams.tts import (
    assert_same_sound,
    config,
    end_of_text,
    exchange,
    flush,
    rms,
    service,
    speak,
    text,
)


async def test_a_turn_in_english(kokoro_channel: grpc.aio.Channel) -> None:
    turn = await speak(kokoro_channel, "Hello, my friend.", " It is ten past 3.", language="en-US")
    assert turn.started.voice == "kokoro-af_heart"
    assert turn.words == ["Hello", "my", "friend", "It", "is", "ten", "past", "3"]
    assert 1.5 < turn.seconds < 5
    assert rms(turn.spoken[1].audio) > 500


async def test_a_turn_in_chinese_with_english_in_it(kokoro_channel: grpc.aio.Channel) -> None:
    turn = await speak(kokoro_channel, "你好，我会Python。", "今天是2024年！", language="zh-CN")
    assert turn.started.voice == "kokoro-zf_xiaoxiao"
    assert "".join(turn.words) == "你好我会Python今天是2024年"
    assert all(part.end and part.end.reason == END_REASON_COMPLETE for part in turn.spoken.values())


async def test_a_clause_said_again_sounds_the_same(kokoro_channel: grpc.aio.Channel) -> None:
    requests = [
        config(language="en-US"),
        text(1, "Yes. "),
        flush(1),
        text(2, "Yes. "),
        end_of_text(),
    ]
    turn = await exchange(kokoro_channel, requests)
    assert_same_sound(turn.spoken[1].audio, turn.spoken[2].audio)
    assert np.abs(turn.spoken[1].audio).max() > 1_000


async def test_its_voices_come_first(kokoro_channel: grpc.aio.Channel) -> None:
    for language, name in (
        ("en", "kokoro-af_heart"),
        ("zh", "kokoro-zf_xiaoxiao"),
        ("de", "espeak-de"),
    ):
        voices = (
            await service(kokoro_channel).ListVoices(ListVoicesRequest(language=language))
        ).voices
        assert voices[0].name == name
