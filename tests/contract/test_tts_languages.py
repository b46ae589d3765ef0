"""Conformance suite of the speech service: voices and the languages that they speak."""

from __future__ import annotations

import grpc
import pytest
import pytest_asyncio

from anima.tts.v1 import DescribeEngineRequest, ListVoicesRequest
from testing.streams.tts import (
    assert_same_sound,
    config,
    end_of_text,
    exchange,
    service,
    speak,
    speaks_chinese,
    text,
)


@pytest_asyncio.fixture(loop_scope="module")
async def chinese(tts_channel: grpc.aio.Channel, request: pytest.FixtureRequest) -> None:
    """Skips a test where somebody else's server has no Chinese voice; ours has one."""
    if request.config.getoption("--tts-address") and not await speaks_chinese(tts_channel):
        pytest.skip("the server has no Chinese voice")


@pytest.mark.usefixtures("chinese")
async def test_a_chinese_turn(tts_channel: grpc.aio.Channel) -> None:
    turn = await speak(tts_channel, "你好，世界。", "今天是2024年！", language="zh-CN")
    assert "".join(turn.words) == "你好世界今天是2024年"
    assert len(turn.words) >= 6
    assert 1.5 < turn.seconds < 6


@pytest.mark.usefixtures("chinese")
async def test_a_chinese_segment_in_an_english_stream(tts_channel: grpc.aio.Channel) -> None:
    alone = await speak(tts_channel, "你好，世界。", language="zh", sample_rate_hz=16_000)
    requests = [
        config(language="en", sample_rate_hz=16_000),
        text(1, "Hello. "),
        text(2, "你好，世界。", start_char=7, language="zh"),
        text(3, "Bye.", start_char=13),
        end_of_text(),
    ]
    turn = await exchange(tts_channel, requests)
    assert_same_sound(turn.spoken[2].audio, alone.audio)
    assert "".join(word.text for word in turn.spoken[2].words) == "你好世界"
    assert turn.started.voice != alone.started.voice


async def test_the_voices_and_engines_are_told(tts_channel: grpc.aio.Channel) -> None:
    tts = service(tts_channel)
    everything = (await tts.ListVoices(ListVoicesRequest())).voices
    assert len({voice.name for voice in everything}) == len(everything)
    english = (await tts.ListVoices(ListVoicesRequest(language="en-AU"))).voices
    assert english
    assert not (await tts.ListVoices(ListVoicesRequest(language="zu"))).voices
    engines = (await tts.DescribeEngine(DescribeEngineRequest())).engines
    assert {voice.engine for voice in everything} == {engine.name for engine in engines}
    for voice in everything:
        assert voice.languages
        assert voice.licence
        assert 8_000 <= voice.sample_rate_hz <= 48_000
    for engine in engines:
        assert engine.version
        assert engine.licence
        assert engine.capacity > 0
    turn = await speak(tts_channel, "Hi.", voices=["no-such-voice", english[-1].name])
    assert turn.started.voice == english[-1].name
    turn = await speak(tts_channel, "Hi.", voices=["no-such-voice", "nor-this"])
    best = (await tts.ListVoices(ListVoicesRequest(language="en"))).voices[0]
    assert turn.started.voice == best.name


@pytest.mark.usefixtures("chinese")
async def test_each_language_has_voices_of_its_own(tts_channel: grpc.aio.Channel) -> None:
    tts = service(tts_channel)
    english, chinese = [
        {voice.name for voice in (await tts.ListVoices(ListVoicesRequest(language=tag))).voices}
        for tag in ("en", "zh")
    ]
    assert english
    assert chinese
    assert not english & chinese


async def test_a_bad_language_to_list_is_refused(tts_channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service(tts_channel).ListVoices(ListVoicesRequest(language="!"))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "language" in str(caught.value.details())
