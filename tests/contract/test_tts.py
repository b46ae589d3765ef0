"""Conformance suite of the speech service: talks only gRPC, so any server can be tested."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import numpy as np
import pytest

from anima.common.v1 import (
    END_REASON_INTERRUPTED,
    VISEME_AA,
    VISEME_PP,
    VISEME_SIL,
    Interrupt,
)
from anima.tts.v1 import (
    DescribeEngineRequest,
    SynthesizeRequest,
    TextSegment,
)
from services.runtime.errors import Busy, error_from_rpc
from testing.streams.tts import (
    Turn,
    assert_same_sound,
    collect,
    config,
    end_of_text,
    exchange,
    flush,
    pitch_hz,
    read_until,
    rms,
    segments,
    service,
    speak,
    speaks_chinese,
    text,
)

SENTENCE = "My mother may buy a new piano on Monday."
LONG = " ".join(
    f"This is sentence number {number}, and it goes on for a while." for number in range(1, 32)
)


def interrupt(epoch: int) -> SynthesizeRequest:
    return SynthesizeRequest(interrupt=Interrupt(epoch=epoch))


async def status_of(
    channel: grpc.aio.Channel, requests: list[SynthesizeRequest]
) -> tuple[grpc.StatusCode, str]:
    """The status of a stream that must fail; afterwards the service must still speak."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in service(channel).Synthesize(iter(requests)):
            pass
    assert (await speak(channel, "Yes.")).seconds > 0.1
    return caught.value.code(), str(caught.value.details())


async def test_segments_share_one_clock_and_come_in_order(tts_channel: grpc.aio.Channel) -> None:
    turn = await speak(tts_channel, "Hello there, ", "I am Anima. ", "How are you today?")
    assert " ".join(turn.words) == "Hello there I am Anima How are you today"
    assert len(turn.words) >= 8
    assert turn.seconds > 1.5
    assert 500 < rms(turn.audio) < 15_000
    assert np.abs(turn.audio.astype(int)).max() < 32_767


async def test_messages_are_small_at_first_and_then_grow(tts_channel: grpc.aio.Channel) -> None:
    turn = await speak(tts_channel, SENTENCE)
    sizes = [1000 * len(piece) / turn.started.sample_rate_hz for piece in turn.spoken[1].samples]
    assert sizes[0] == pytest.approx(20, abs=1)
    assert sizes[1] == pytest.approx(100, abs=1)
    grown = ([200] * 4 + [400] * len(sizes))[: len(sizes) - 3]
    assert sizes[2:-1] == pytest.approx(grown, abs=1)


async def test_segments_join_without_long_silence(tts_channel: grpc.aio.Channel) -> None:
    turn = await speak(tts_channel, "Well, ", "this is it. ", "And more")
    tails: list[float] = []
    for part in turn.spoken.values():
        silences = [mark.samples.sample_count for mark in part.visemes if mark.viseme == VISEME_SIL]
        first, last = part.visemes[0], part.visemes[-1]
        if first.viseme == VISEME_SIL:
            assert first.samples.sample_count <= 0.06 * turn.started.sample_rate_hz
        assert last.viseme == VISEME_SIL
        tails.append(silences[-1] / turn.started.sample_rate_hz)
    assert 0.05 < tails[0] < 0.3
    assert tails[0] < tails[1] < 0.6
    assert tails[2] < tails[0]


async def test_the_mouth_is_where_the_sound_is(tts_channel: grpc.aio.Channel) -> None:
    turn = await speak(tts_channel, "Papa, papa, mama, baba, mama, papa.")
    part = turn.spoken[1]
    assert part.end is not None
    levels: dict[int, list[float]] = {}
    for mark in part.visemes:
        start = mark.samples.start_sample - part.end.samples.start_sample
        levels.setdefault(mark.viseme, []).append(
            rms(part.audio[start : start + mark.samples.sample_count])
        )
    assert len(levels[VISEME_PP]) == 12
    assert np.mean(levels[VISEME_AA]) > 2 * np.mean(levels[VISEME_PP])
    assert np.mean(levels[VISEME_SIL]) < 0.15 * np.mean(levels[VISEME_AA])
    assert {mark.stress for mark in part.visemes if mark.viseme == VISEME_AA} & {1, 2}


async def test_numbers_and_abbreviations_are_one_word_of_the_text_each(
    tts_channel: grpc.aio.Channel,
) -> None:
    turn = await speak(
        tts_channel, "Dr. Smith paid $5.50 for 3.14 “pies” — it’s true, e.g. in 2024!"
    )
    assert turn.words == [
        "Dr", "Smith", "paid", "$5.50", "for", "3.14", "pies", "it’s", "true", "e.g", "in", "2024",
    ]  # fmt: skip


async def test_markup_is_text(tts_channel: grpc.aio.Channel) -> None:
    plain = await speak(tts_channel, "one two")
    marked = await speak(tts_channel, '<speak>one <break time="3s"/> two</speak>')
    assert marked.seconds > plain.seconds + 0.5
    assert "".join(marked.words).startswith("<speak>one")


async def test_rate_pitch_and_volume_are_heard(tts_channel: grpc.aio.Channel) -> None:
    plain = await speak(tts_channel, SENTENCE)
    fast = await speak(tts_channel, SENTENCE, rate_percent=200)
    slow = await speak(tts_channel, SENTENCE, rate_percent=50)
    assert fast.seconds < 0.65 * plain.seconds
    assert slow.seconds > 1.6 * plain.seconds
    hz = plain.started.sample_rate_hz
    reference = pitch_hz(plain.audio, hz)
    high = await speak(tts_channel, SENTENCE, pitch_percent=150)
    low = await speak(tts_channel, SENTENCE, pitch_percent=70)
    assert pitch_hz(high.audio, hz) / reference == pytest.approx(1.5, rel=0.12)
    assert pitch_hz(low.audio, hz) / reference == pytest.approx(0.7, rel=0.12)
    quiet = await speak(tts_channel, SENTENCE, volume_percent=50)
    loud = await speak(tts_channel, SENTENCE, volume_percent=200)
    assert rms(quiet.audio) / rms(plain.audio) == pytest.approx(0.5, rel=0.1)
    assert rms(loud.audio) > 1.3 * rms(plain.audio)
    assert np.abs(loud.audio.astype(int)).max() < 32_767


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 48_000])
async def test_all_audio_has_the_rate_asked_for(
    tts_channel: grpc.aio.Channel, rate_hz: int
) -> None:
    turn = await speak(tts_channel, "One, ", "two.", sample_rate_hz=rate_hz)
    own = await speak(tts_channel, "One, ", "two.")
    assert turn.started.sample_rate_hz == rate_hz
    assert turn.seconds == pytest.approx(own.seconds, abs=0.001)
    assert rms(turn.audio) == pytest.approx(rms(own.audio), rel=0.1)


@pytest.mark.parametrize("silent", ["...", "😀🎉", " ", "—", "\u200b\ufe0f"])
async def test_nothing_to_speak_gives_an_empty_segment(
    tts_channel: grpc.aio.Channel, silent: str
) -> None:
    turn = await speak(tts_channel, "Before. ", silent, "After.")
    assert turn.spoken[2].words == []
    assert len(turn.spoken[2].audio) <= turn.started.sample_rate_hz
    assert rms(turn.spoken[2].audio) < 50
    assert rms(turn.spoken[3].audio) > 300


@pytest.mark.parametrize(
    "odd",
    [
        "x" * 400,
        "Bell \x07, escape \x1b, and \x01100S\x01 speed.",
        "a\u0301 e\u0301 zero\u200bwidth \u202eright to left\u202c",
        "Ünïcödé naïve café Ω ж ש 日本",
        "http://example.com/?q=1&r=[[2]] C:\\path {x} `y` ~z^",
        "9" * 300,
    ],
)
async def test_odd_text_is_spoken_or_passed_over(tts_channel: grpc.aio.Channel, odd: str) -> None:
    requests = [config(), text(1, odd, start_char=7), end_of_text()]
    turn = await exchange(tts_channel, requests)
    assert rms(turn.audio) > 100


async def test_flushes_are_confirmed_after_everything_before(tts_channel: grpc.aio.Channel) -> None:
    first, second = segments(["First. ", "Second."])
    turn = await exchange(
        tts_channel, [config(), flush(1), first, flush(7), second, flush(7), end_of_text()]
    )
    kinds = [event for event in turn.order if event in {"flushed", "segment_end"}]
    assert kinds == ["flushed", "segment_end", "flushed", "segment_end", "flushed"]
    assert turn.order[-1] == "flushed"


async def test_half_close_ends_the_text_too(tts_channel: grpc.aio.Channel) -> None:
    turn = await exchange(tts_channel, [config(), *segments(["Good bye."])])
    assert turn.words == ["Good", "bye"]


async def test_audio_comes_before_the_next_segment_is_known(tts_channel: grpc.aio.Channel) -> None:
    call = service(tts_channel).Synthesize()
    await call.write(config())
    await call.write(text(1, "A first clause, "))
    answers = await read_until(call, "segment_end")
    await call.write(text(2, "and a second one.", start_char=16))
    await call.write(end_of_text())
    answers += [answer async for answer in call]
    sent = {
        1: TextSegment(text="A first clause, "),
        2: TextSegment(text="and a second one.", start_char=16),
    }
    assert list(collect(answers, sent).spoken) == [1, 2]
    assert await call.code() == grpc.StatusCode.OK


async def test_an_interrupt_stops_and_is_confirmed(tts_channel: grpc.aio.Channel) -> None:
    call = service(tts_channel).Synthesize()
    await call.write(config(epoch=4))
    await call.write(text(1, LONG))
    answers = await read_until(call, "audio")
    await call.write(interrupt(5))
    answers += [answer async for answer in call]
    assert await call.code() == grpc.StatusCode.OK
    assert [answer.WhichOneof("event") for answer in answers[-2:]] == ["segment_end", "interrupted"]
    turn = collect(answers[:-1], {1: TextSegment(text=LONG)})
    assert turn.spoken[1].end is not None
    assert turn.spoken[1].end.reason == END_REASON_INTERRUPTED
    assert answers[-1].interrupted.epoch == 5
    assert answers[-1].interrupted.produced_samples == len(turn.audio)
    assert turn.seconds < 60


async def test_an_interrupt_between_segments(tts_channel: grpc.aio.Channel) -> None:
    call = service(tts_channel).Synthesize()
    await call.write(config())
    await call.write(text(1, "One."))
    answers = await read_until(call, "segment_end")
    await call.write(interrupt(1))
    rest = [answer async for answer in call]
    assert [answer.WhichOneof("event") for answer in rest] == ["interrupted"]
    assert rest[0].interrupted.produced_samples == answers[-1].segment_end.samples.sample_count


async def test_a_cancelled_stream_frees_its_place(tts_channel: grpc.aio.Channel) -> None:
    for _ in range(20):
        call = service(tts_channel).Synthesize()
        await call.write(config())
        await call.write(text(1, LONG))
        await read_until(call, "audio")
        call.cancel()
    assert (await patient_turn(tts_channel)).words == ["Still", "here"]


async def patient_turn(channel: grpc.aio.Channel) -> Turn:
    """A turn, retried while the places of cancelled streams are being freed."""
    while True:
        try:
            return await speak(channel, "Still here.")
        except grpc.aio.AioRpcError as error:
            if not isinstance(error_from_rpc(error), Busy):
                raise


async def test_streams_at_the_same_time_do_not_mix(tts_channel: grpc.aio.Channel) -> None:
    turns: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (("I count one two three, ", "and four."), {"rate_percent": 80}),
        (("The weather is lovely today.",), {"pitch_percent": 150, "volume_percent": 60}),
        (("你好，世界。", "再见。"), {"language": "zh"})
        if await speaks_chinese(tts_channel)
        else (("Another one. ", "Bye."), {}),
        (("A fourth voice, at another rate.",), {"sample_rate_hz": 22_050}),
    ]
    alone = [await speak(tts_channel, *texts, **fields) for texts, fields in turns]
    together = await asyncio.gather(
        *(speak(tts_channel, *texts, **fields) for _ in range(2) for texts, fields in turns[:2]),
        *(speak(tts_channel, *texts, **fields) for texts, fields in turns[2:]),
    )
    order = [0, 1, 0, 1, 2, 3]
    for turn, number in zip(together, order, strict=True):
        single, fields = alone[number], turns[number][1]
        if "sample_rate_hz" in fields:
            assert_same_sound(turn.audio, single.audio)
        else:
            assert turn.audio.tobytes() == single.audio.tobytes()
        assert turn.spoken[1].visemes == single.spoken[1].visemes


async def test_a_full_service_says_when_to_come_again(tts_channel: grpc.aio.Channel) -> None:
    tts = service(tts_channel)
    described = await tts.DescribeEngine(DescribeEngineRequest())
    capacity = described.engines[0].capacity
    calls = [tts.Synthesize() for _ in range(capacity)]
    for call in calls:
        await call.write(config())
        await read_until(call, "started")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_until(tts.Synthesize(), "started")
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    busy = error_from_rpc(caught.value)
    assert isinstance(busy, Busy)
    assert (busy.retry_after_ms or 0) > 0
    for call in calls:
        await call.write(end_of_text())
        assert [answer async for answer in call] == []
    assert (await patient_turn(tts_channel)).words == ["Still", "here"]


@pytest.mark.parametrize(
    ("requests", "code", "fault"),
    [
        ([], "INVALID_ARGUMENT", "config"),
        ([SynthesizeRequest()], "INVALID_ARGUMENT", "message"),
        ([text(1, "Hi.")], "INVALID_ARGUMENT", "config"),
        ([config(), config()], "INVALID_ARGUMENT", "config"),
        ([config(), SynthesizeRequest()], "INVALID_ARGUMENT", "message"),
        ([config(turn_id="")], "INVALID_ARGUMENT", "config.turn_id"),
        ([config(turn_id="a b")], "INVALID_ARGUMENT", "config.turn_id"),
        ([config(rate_percent=49)], "INVALID_ARGUMENT", "config.rate_percent"),
        ([config(rate_percent=201)], "INVALID_ARGUMENT", "config.rate_percent"),
        ([config(pitch_percent=49)], "INVALID_ARGUMENT", "config.pitch_percent"),
        ([config(pitch_percent=201)], "INVALID_ARGUMENT", "config.pitch_percent"),
        ([config(volume_percent=201)], "INVALID_ARGUMENT", "config.volume_percent"),
        ([config(sample_rate_hz=7_999)], "INVALID_ARGUMENT", "config.sample_rate_hz"),
        ([config(sample_rate_hz=48_001)], "INVALID_ARGUMENT", "config.sample_rate_hz"),
        ([config(language="not a language")], "INVALID_ARGUMENT", "config.language"),
        ([config(language="zu")], "FAILED_PRECONDITION", "config.language"),
        ([config(voices=["no-such-voice"])], "NOT_FOUND", "no-such-voice"),
        ([config(), text(0, "Hi.")], "INVALID_ARGUMENT", "text.segment"),
        ([config(), text(2, "Hi.")], "INVALID_ARGUMENT", "text.segment"),
        ([config(), text(1, "Hi."), text(1, "Hi.")], "INVALID_ARGUMENT", "text.segment"),
        ([config(), text(1, "Hi."), text(3, "Hi.")], "INVALID_ARGUMENT", "text.segment"),
        ([config(), text(1, "")], "INVALID_ARGUMENT", "text.text"),
        ([config(), text(1, "x" * 2_001)], "INVALID_ARGUMENT", "text.text"),
        ([config(), text(1, "a\0b")], "INVALID_ARGUMENT", "text.text"),
        ([config(), text(1, "Hi.", start_char=2**32 - 1)], "INVALID_ARGUMENT", "text.start_char"),
        ([config(), text(1, "Hi.", language="??")], "INVALID_ARGUMENT", "text.language"),
        ([config(), text(1, "Hi.", language="zu")], "FAILED_PRECONDITION", "text.language"),
        ([config(), text(1, LONG), end_of_text(), flush(1)], "INVALID_ARGUMENT", "end_of_text"),
        ([config(epoch=3), interrupt(3)], "INVALID_ARGUMENT", "interrupt.epoch"),
    ],
)  # fmt: skip
async def test_bad_requests_are_refused_with_the_fault(
    tts_channel: grpc.aio.Channel, requests: list[SynthesizeRequest], code: str, fault: str
) -> None:
    found, details = await status_of(tts_channel, requests)
    assert found.name == code
    assert fault in details
