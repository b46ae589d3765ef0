"""Conformance suite of the recogniser: talks only gRPC, so any server can be tested."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence

import grpc
import numpy as np
import pytest

from anima.asr.v1 import (
    DescribeEngineRequest,
    Endpointing,
    RecognizeRequest,
    RecognizeResponse,
)
from anima.common.v1 import AudioChunk, ChunkHeader
from services.runtime.errors import error_from_rpc
from testing.streams.asr import (
    at_rate,
    audio,
    boundaries,
    check_form,
    config,
    end_of_speech,
    interrupt,
    kind,
    kinds,
    plain_words,
    read_until,
    recognise,
    stub_of,
    texts,
    word_errors,
)
from tests.speech import RATE_HZ, go_forward, quiet_room, robot_commands, with_silence

INVALID = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


async def test_describes_its_engine(asr_channel: grpc.aio.Channel) -> None:
    answer = await stub_of(asr_channel).DescribeEngine(DescribeEngineRequest())
    assert answer.engine.name
    assert answer.engine.version
    assert answer.engine.licence
    assert answer.engine.languages
    assert answer.engine.capacity >= 1


async def test_recognises_a_command_while_it_is_spoken(asr_channel: grpc.aio.Channel) -> None:
    command = go_forward()
    samples = with_silence(command.samples, before_ms=300)
    responses = await recognise(asr_channel, [config(), *audio(samples), end_of_speech()])
    assert responses[0].started.language
    assert texts(responses) != []
    assert word_errors(command.text, " ".join(texts(responses))) <= 0.5
    partials = [response.partial.text for response in responses if response.HasField("partial")]
    assert all(one != other for one, other in itertools.pairwise(partials))
    started = responses[1].speech_started.at_sample
    guess = next(response.end_guess for response in responses if response.HasField("end_guess"))
    assert 0 < started < guess.at_sample < len(samples)
    final = responses[-1].final
    assert final.samples.start_sample <= started
    assert final.samples.start_sample + final.samples.sample_count >= guess.at_sample


async def test_its_clock_is_the_streams(asr_channel: grpc.aio.Channel) -> None:
    samples = with_silence(go_forward().samples, before_ms=300)
    times_s = []
    for rate_hz in (RATE_HZ, 8_000, 22_050, 48_000):
        responses = await recognise(
            asr_channel,
            [
                config(sample_rate_hz=rate_hz),
                *audio(at_rate(samples, rate_hz), rate_hz=rate_hz),
                end_of_speech(),
            ],
        )
        times_s.append([at_sample / rate_hz for at_sample in boundaries(responses)])
    assert len(times_s[0]) == 2
    for found_s in times_s[1:]:
        assert found_s == pytest.approx(times_s[0], abs=0.1)


async def test_several_utterances_on_one_stream(asr_channel: grpc.aio.Channel) -> None:
    commands = robot_commands()
    samples = np.concatenate([with_silence(command.samples) for command in commands])
    responses = await recognise(asr_channel, [config(), *audio(samples), end_of_speech()])
    heard = texts(responses)
    assert len(heard) == 2
    for command, text in zip(commands, heard, strict=True):
        assert word_errors(command.text, text) <= 0.5
    first, second = (response.final.samples for response in responses if kind(response) == "final")
    assert first.start_sample + first.sample_count <= second.start_sample


async def test_single_utterance_ends_the_stream(asr_channel: grpc.aio.Channel) -> None:
    samples = np.concatenate([with_silence(command.samples) for command in robot_commands()])
    responses = await recognise(asr_channel, [config(single_utterance=True), *audio(samples)])
    assert kinds(responses).count("final") == 1
    assert kind(responses[-1]) == "final"


async def test_end_of_speech_keeps_the_last_word(asr_channel: grpc.aio.Channel) -> None:
    command = go_forward()
    loud = np.flatnonzero(np.abs(command.samples) > 500)
    spoken = command.samples[: loud[-1] + 1]
    responses = await recognise(asr_channel, [config(), *audio(spoken), end_of_speech()])
    assert kind(responses[-1]) == "final"
    final = responses[-1].final
    assert plain_words(final.text).split()[-1] == command.text.split()[-1]
    if not final.words:
        return  # the recogniser knows no times of words
    last = final.words[-1].samples
    assert len(final.words) == len(command.text.split())
    assert last.start_sample + last.sample_count > len(spoken) - RATE_HZ // 4


async def test_partial_results_come_while_somebody_speaks(
    asr_channel: grpc.aio.Channel,
) -> None:
    """A recogniser may leave out partial results of audio that comes faster than it is spoken."""
    call = stub_of(asr_channel).Recognize()
    await call.write(config())
    first = asyncio.create_task(read_until(call.__aiter__(), "partial"))
    speech = go_forward().samples[4_000:36_000]
    sent = 0
    while not first.done():
        for request in audio(speech, from_sample=sent, chunk_samples=320):
            await call.write(request)
        sent += len(speech)
        assert sent < 600 * RATE_HZ
    before = await first
    assert before[-1].partial.text
    assert kinds(before)[:2] == ["started", "speech_started"]
    call.cancel()
    await still_works(asr_channel)


async def test_end_of_speech_without_speech_ends_the_stream(
    asr_channel: grpc.aio.Channel,
) -> None:
    assert kinds(await recognise(asr_channel, [config(), end_of_speech()])) == ["started"]


async def test_half_close_is_no_end_of_speech(asr_channel: grpc.aio.Channel) -> None:
    responses = await recognise(asr_channel, [config(), *audio(go_forward().samples[:24_000])])
    assert "speech_started" in kinds(responses)
    assert "final" not in kinds(responses)


async def test_a_pause_withdraws_the_guess(asr_channel: grpc.aio.Channel) -> None:
    forward, somewhere = robot_commands()
    loud = np.flatnonzero(np.abs(forward.samples) > 500)
    samples = np.concatenate(
        [forward.samples[: loud[-1] + 1], quiet_room(300), with_silence(somewhere.samples[4_800:])]
    )
    responses = await recognise(
        asr_channel,
        [
            config(endpointing=Endpointing(end_silence_ms=1_000)),
            *audio(samples),
            end_of_speech(),
        ],
    )
    order = kinds(responses)
    assert order.index("end_guess") < order.index("speech_resumed") < order.index("final")
    assert order.count("final") == 1
    guess = next(response.end_guess for response in responses if kind(response) == "end_guess")
    resumed = next(r.speech_resumed for r in responses if kind(r) == "speech_resumed")
    assert resumed.at_sample > guess.at_sample
    assert word_errors(f"{forward.text} {somewhere.text}", texts(responses)[0]) <= 0.5


async def test_the_longest_utterance_is_cut(asr_channel: grpc.aio.Channel) -> None:
    limits = Endpointing(max_utterance_ms=1_000)
    samples = with_silence(go_forward().samples)
    responses = await recognise(
        asr_channel, [config(endpointing=limits), *audio(samples), end_of_speech()]
    )
    assert kinds(responses).count("final") >= 2


@pytest.mark.parametrize("sound", ["silence", "room", "noise", "tone"])
async def test_no_speech_no_utterance(asr_channel: grpc.aio.Channel, sound: str) -> None:
    length = 2 * RATE_HZ
    tone = 8_000 * np.sin(2 * np.pi * 440 * np.arange(length) / RATE_HZ)
    samples = {
        "silence": np.zeros(length, np.int16),
        "room": quiet_room(2_000),
        "noise": np.random.default_rng(2).normal(0, 2_000, length).astype(np.int16),
        "tone": tone.astype(np.int16),
    }[sound]
    responses = await recognise(asr_channel, [config(), *audio(samples), end_of_speech()])
    assert kinds(responses) == ["started"]


async def test_interrupt_drops_the_utterance_and_the_stream_goes_on(
    asr_channel: grpc.aio.Channel,
) -> None:
    dropped, kept = robot_commands()
    first, second = dropped.samples[:24_000], with_silence(kept.samples, before_ms=600)
    late = quiet_room(200)
    call = stub_of(asr_channel).Recognize()
    await call.write(config(epoch=3))
    for request in audio(first, epoch=3):
        await call.write(request)
    stream = call.__aiter__()
    before = await read_until(stream, "speech_started")
    await call.write(interrupt(4))
    before += await read_until(stream, "interrupted")
    for request in [
        *audio(late, from_sample=len(first), epoch=3),
        *audio(second, from_sample=len(first) + len(late), epoch=4),
        end_of_speech(),
    ]:
        await call.write(request)
    await call.done_writing()
    after = [response async for response in stream]
    check_form([*before, *after])
    assert before[-1].interrupted.epoch == 4
    assert [response.header.epoch for response in before[:-1]] == [3] * (len(before) - 1)
    assert {response.header.epoch for response in [before[-1], *after]} == {4}
    assert word_errors(kept.text, " ".join(texts(after))) <= 0.5
    assert after[0].speech_started.at_sample >= len(first) + len(late)


async def test_streams_at_the_same_time_do_not_mix(asr_channel: grpc.aio.Channel) -> None:
    engine = (await stub_of(asr_channel).DescribeEngine(DescribeEngineRequest())).engine
    if engine.capacity < 2:
        pytest.skip("the server takes one stream at a time")
    commands = robot_commands()
    results = await asyncio.gather(
        *(
            recognise(asr_channel, [config(), *audio(with_silence(one.samples)), end_of_speech()])
            for one in commands
        )
    )
    for command, responses in zip(commands, results, strict=True):
        assert word_errors(command.text, " ".join(texts(responses))) <= 0.5


async def test_the_size_of_messages_changes_nothing(asr_channel: grpc.aio.Channel) -> None:
    samples = with_silence(go_forward().samples, before_ms=300)

    async def times(chunk_samples: int) -> list[int]:
        responses = await recognise(
            asr_channel,
            [config(), *audio(samples, chunk_samples=chunk_samples), end_of_speech()],
        )
        return boundaries(responses)

    assert await times(37) == await times(32_768) == await times(1_600)


async def test_a_cancelled_stream_leaves_the_service_well(
    asr_channel: grpc.aio.Channel,
) -> None:
    call = stub_of(asr_channel).Recognize()
    await call.write(config())
    for request in audio(go_forward().samples):
        await call.write(request)
    await read_until(call.__aiter__(), "speech_started")
    call.cancel()
    await still_works(asr_channel)


@pytest.mark.parametrize("language", ["", "en", "en-GB", "EN-us"])
async def test_takes_english(asr_channel: grpc.aio.Channel, language: str) -> None:
    engine = (await stub_of(asr_channel).DescribeEngine(DescribeEngineRequest())).engine
    if not any(known.split("-")[0] == "en" for known in engine.languages):
        pytest.skip("the engine knows no English")
    responses = await recognise(asr_channel, [config(language=language), end_of_speech()])
    assert responses[0].started.language in engine.languages


def bad_streams() -> dict[str, tuple[list[RecognizeRequest], grpc.StatusCode, str]]:
    """Streams that must fail: messages, status, and a part of its text."""
    good = next(audio(quiet_room(100)))

    def chunk(**fields: object) -> RecognizeRequest:
        values: dict[str, object] = {"sample_rate_hz": RATE_HZ, "pcm": b"\0\0"}
        return RecognizeRequest(audio=AudioChunk(**(values | fields)))  # type: ignore[arg-type]

    limits = {"start_speech_ms", "guess_silence_ms", "end_silence_ms", "max_utterance_ms"}
    return {
        "nothing": ([], INVALID, "config"),
        "audio first": ([good], INVALID, "config"),
        "empty first": ([RecognizeRequest()], INVALID, "config"),
        "config twice": ([config(), config()], INVALID, "config"),
        "config twice, late": ([config(), good, config()], INVALID, "config"),
        "empty message": ([config(), RecognizeRequest()], INVALID, "message"),
        "no turn": ([config(turn_id="")], INVALID, "config.turn_id"),
        "bad turn": ([config(turn_id="a b")], INVALID, "config.turn_id"),
        "long turn": ([config(turn_id="a" * 65)], INVALID, "config.turn_id"),
        "no rate": ([config(sample_rate_hz=0)], INVALID, "config.sample_rate_hz"),
        "low rate": ([config(sample_rate_hz=7_999)], INVALID, "config.sample_rate_hz"),
        "high rate": ([config(sample_rate_hz=48_001)], INVALID, "config.sample_rate_hz"),
        "malformed language": ([config(language="en us!")], INVALID, "config.language"),
        "unknown language": ([config(language="tlh")], PRECONDITION, "language"),
        "empty hint": ([config(phrase_hints=["a", ""])], INVALID, "config.phrase_hints"),
        "long hint": ([config(phrase_hints=["a" * 5_000])], INVALID, "config.phrase_hints"),
        **{
            f"huge {name}": (
                [config(endpointing=Endpointing(**{name: 2**32 - 1}))],
                INVALID,
                f"config.endpointing.{name}",
            )
            for name in sorted(limits)
        },
        "other rate": ([config(), chunk(sample_rate_hz=8_000)], INVALID, "sample_rate_hz"),
        "half a sample": ([config(), chunk(pcm=b"\0\0\0")], INVALID, "pcm"),
        "huge chunk": ([config(), chunk(pcm=bytes(65_538))], INVALID, "pcm"),
        "gap": ([config(), good, chunk(start_sample=1_601)], INVALID, "start_sample"),
        "overlap": ([config(), good, chunk(start_sample=0)], INVALID, "start_sample"),
        "negative start": ([config(), chunk(start_sample=-1)], INVALID, "start_sample"),
        "other turn": (
            [config(), chunk(header=ChunkHeader(turn_id="turn-2"))],
            INVALID,
            "turn_id",
        ),
        "interrupt of no new epoch": ([config(epoch=2), interrupt(2)], INVALID, "epoch"),
    }


async def test_bad_input_is_named_and_the_service_lives_on(
    asr_channel: grpc.aio.Channel,
) -> None:
    for name, (requests, code, named) in bad_streams().items():
        status, text = await failure_of(asr_channel, requests)
        assert status == code, f"{name}: {text}"
        assert named in text, f"{name}: {text}"
        assert kinds(await recognise(asr_channel, [config(), end_of_speech()])) == ["started"]
    await still_works(asr_channel)


async def test_bad_input_in_mid_speech(asr_channel: grpc.aio.Channel) -> None:
    speech = audio(go_forward().samples[:24_000])
    status, text = await failure_of(asr_channel, [config(), *speech, RecognizeRequest()])
    assert status == INVALID, text
    await still_works(asr_channel)


async def failure_of(
    channel: grpc.aio.Channel, requests: Sequence[RecognizeRequest]
) -> tuple[grpc.StatusCode, str]:
    """The status of a stream that must fail, with its ErrorInfo."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in stub_of(channel).Recognize(iter(requests)):
            pass
    error = error_from_rpc(caught.value)
    assert error.reason
    return error.code, error.message


async def still_works(channel: grpc.aio.Channel) -> None:
    """A command is recognised."""
    command = go_forward()
    samples = with_silence(command.samples)
    responses: list[RecognizeResponse] = await recognise(
        channel, [config(), *audio(samples), end_of_speech()]
    )
    assert word_errors(command.text, " ".join(texts(responses))) <= 0.5


async def test_requests_may_come_from_a_generator(asr_channel: grpc.aio.Channel) -> None:
    async def microphone() -> AsyncIterator[RecognizeRequest]:
        yield config()
        for request in audio(with_silence(go_forward().samples)):
            yield request
        yield end_of_speech()

    responses = [r async for r in stub_of(asr_channel).Recognize(microphone())]
    check_form(responses)
    assert texts(responses)
