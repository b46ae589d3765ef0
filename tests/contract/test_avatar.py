"""Conformance suite of avatar services, over gRPC alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from anima.avatar.v1 import (
    AvatarServiceStub,
    DescribeEngineRequest,
    Ended,
    Flush,
    GetIdleLoopRequest,
    ListAvatarsRequest,
    RenderRequest,
)
from anima.common.v1 import (
    ChunkHeader,
    VideoCodec,
    VideoFormat,
    VideoFrame,
)
from tests.contract.avatar_turn import (
    BAD_STREAMS,
    END,
    RATE,
    SMALL,
    Rendered,
    audio,
    config,
    decode,
    interrupt,
    marks,
    next_event,
    pieces,
    refused,
    render,
    sound,
    works,
)

if TYPE_CHECKING:
    from anima.avatar.v1.avatar_pb2_grpc import AvatarServiceAsyncStub


@pytest.fixture(scope="module")
def stub(avatar_channel: grpc.aio.Channel) -> AvatarServiceAsyncStub:
    return cast("AvatarServiceAsyncStub", AvatarServiceStub(avatar_channel))


async def test_says_what_it_is_and_whom_it_can_show(stub: AvatarServiceAsyncStub) -> None:
    engine = (await stub.DescribeEngine(DescribeEngineRequest())).engine
    assert engine.name
    assert engine.version
    assert engine.licence
    assert engine.capacity >= 1
    avatars = (await stub.ListAvatars(ListAvatarsRequest())).avatars
    assert avatars
    for avatar in avatars:
        assert avatar.name
        assert avatar.display_name
        assert avatar.licence
        assert avatar.video.width_px % 2 == avatar.video.height_px % 2 == 0


async def test_the_audio_comes_back_byte_for_byte_with_its_frames(
    stub: AvatarServiceAsyncStub,
) -> None:
    samples = sound(1.73)
    rendered = await render(stub, [config(), *pieces(samples, 1777), END])
    assert rendered.events[0] == "started"
    assert rendered.events[-1] == "ended"
    assert set(rendered.events[1:-1]) == {"media"}
    assert rendered.started is not None
    assert rendered.started.avatar
    assert rendered.started.video.codec == VideoCodec.VIDEO_CODEC_H264
    assert rendered.started.video.width_px == 128

    padding = rendered.pcm[2 * len(samples) :]
    assert rendered.pcm[: 2 * len(samples)] == samples.tobytes()
    assert not any(padding)
    assert rendered.ended is not None
    assert rendered.ended.sample_count == len(rendered.pcm) // 2
    assert 0 <= rendered.ended.sample_count - len(samples) < RATE / 25
    assert rendered.ended.frame_count == 44
    assert len(rendered.pictures()) == 44


async def test_frames_stand_on_the_sample_clock(stub: AvatarServiceAsyncStub) -> None:
    for rate, fps in ((16_000, 25), (22_050, 30), (44_100, 60), (8_000, 10)):
        await check_clock(stub, rate, fps)


async def check_clock(stub: AvatarServiceAsyncStub, rate: int, fps: int) -> None:
    samples = sound(1.3)[: int(1.3 * rate)]
    video = VideoFormat(width_px=64, height_px=64, frame_rate_hz=fps)
    rendered = await render(
        stub,
        [
            config(sample_rate_hz=rate, video=video),
            *(
                audio(i, samples[i : i + 2000], sample_rate_hz=rate)
                for i in range(0, len(samples), 2000)
            ),
            END,
        ],
    )
    frames = [frame for chunk in rendered.media for frame in chunk.frames]
    for index, frame in enumerate(frames):
        assert frame.frame_number == index + 1
        assert frame.start_sample == (2 * index * rate + fps) // (2 * fps)
    assert [chunk.header.sequence for chunk in rendered.media] == list(
        range(1, len(rendered.media) + 1)
    )
    at = 0
    for chunk in rendered.media:
        assert chunk.audio.start_sample == at
        assert chunk.header.turn_id == "turn-1"
        at += len(chunk.audio.pcm) // 2
        assert all(chunk.audio.start_sample <= frame.start_sample < at for frame in chunk.frames)
    assert len(rendered.media[0].frames) == 1
    assert all(len(chunk.audio.pcm) / 2 <= 0.15 * rate for chunk in rendered.media)
    assert frames[0].key_frame
    keys = [frame.frame_number for frame in frames if frame.key_frame]
    assert all(b - a <= 2 * fps for a, b in zip(keys, [*keys[1:], len(frames)], strict=True))


async def test_the_first_frame_comes_before_the_second_second_is_sent(
    stub: AvatarServiceAsyncStub,
) -> None:
    samples = sound(2)
    arrived = asyncio.Event()

    async def send() -> AsyncIterator[RenderRequest]:
        yield config()
        yield marks((11, 0, 2 * RATE))
        yield audio(0, samples[:RATE])
        await arrived.wait()
        yield audio(RATE, samples[RATE:])
        yield END

    async for response in stub.Render(send()):
        if response.WhichOneof("event") == "media":
            arrived.set()
    assert arrived.is_set()


async def test_a_flush_renders_what_is_there(stub: AvatarServiceAsyncStub) -> None:
    got = asyncio.Event()
    frames = 0

    async def send() -> AsyncIterator[RenderRequest]:
        yield config()
        yield audio(0, sound(0.2))
        yield RenderRequest(flush=Flush())
        await got.wait()
        yield END

    async for response in stub.Render(send()):
        frames += len(response.media.frames)
        if frames == 5:
            got.set()
    assert frames == 5


async def test_the_mouth_moves_in_vowels_and_is_still_in_silence(
    stub: AvatarServiceAsyncStub,
) -> None:
    """Measured in the frames: the idle motion is the same, so only the mouth can differ."""

    async def talk(viseme: int) -> list[NDArray[np.uint8]]:
        silence = np.zeros(RATE, np.int16)
        rendered = await render(stub, [config(), marks((viseme, 0, RATE)), *pieces(silence), END])
        return rendered.pictures()

    still, silent, vowel = await talk(1), await talk(1), await talk(11)
    assert all(np.array_equal(a, b) for a, b in zip(still, silent, strict=True))
    change = [float(np.abs(a.astype(int) - b).max()) for a, b in zip(still, vowel, strict=True)]
    assert max(change[:1]) < 40
    assert min(change[5:20]) > 60
    assert change[-1] < 60


async def test_no_audio_is_a_turn_without_frames(stub: AvatarServiceAsyncStub) -> None:
    rendered = await render(stub, [config(), END])
    assert rendered.events == ["started", "ended"]
    assert rendered.ended == Ended(idle_frame=rendered.ended.idle_frame if rendered.ended else 0)


async def test_an_interrupt_is_confirmed_and_nothing_follows(stub: AvatarServiceAsyncStub) -> None:
    rendered = Rendered()
    first = asyncio.Event()

    async def send() -> AsyncIterator[RenderRequest]:
        yield config(epoch=3)
        for request in pieces(sound(8)):
            request.audio.header.epoch = 3
            yield request
        await first.wait()
        yield interrupt(4)

    async for response in stub.Render(send()):
        rendered.take(response)
        if rendered.media:
            first.set()
    assert rendered.events[-1] == "interrupted"
    assert rendered.events.count("interrupted") == 1
    assert rendered.interrupted is not None
    assert rendered.interrupted.epoch == 4
    assert rendered.interrupted.produced_samples >= len(rendered.pcm) // 2
    assert "ended" not in rendered.events


async def test_an_interrupt_overtakes_audio_that_waits(stub: AvatarServiceAsyncStub) -> None:
    rendered = await render(stub, [config(), *pieces(sound(8)), interrupt(1)])
    assert rendered.events[-1] == "interrupted"
    assert len(rendered.pcm) < 2 * 6 * RATE


async def test_old_audio_is_dropped_without_a_gap(stub: AvatarServiceAsyncStub) -> None:
    samples = sound(0.3)
    new = ChunkHeader(turn_id="turn-1", epoch=2)
    rendered = await render(
        stub,
        [
            config(epoch=2),
            audio(0, samples[:1600], header=ChunkHeader(turn_id="turn-1", epoch=1)),
            audio(1600, samples[1600:], header=new),
            END,
        ],
    )
    assert rendered.pcm.startswith(samples[1600:].tobytes())


async def test_two_streams_do_not_mix(stub: AvatarServiceAsyncStub) -> None:
    async def one(seed: int) -> tuple[Rendered, bytes]:
        samples = sound(1.2, seed)
        rendered = await render(stub, [config(turn_id="turn-1"), *pieces(samples), END])
        return rendered, samples.tobytes()

    alone, _ = await one(1)
    together = await asyncio.gather(one(1), one(2))
    for rendered, sent in together:
        assert rendered.pcm.startswith(sent)
    again = together[0][0]
    assert again.pcm == alone.pcm
    for a, b in zip(alone.pictures(), again.pictures(), strict=True):
        assert np.abs(a.astype(int) - b).mean() < 3


async def test_the_idle_loop_is_decodable_from_its_start_and_repeats(
    stub: AvatarServiceAsyncStub,
) -> None:
    frames: list[VideoFrame] = []
    async for response in stub.GetIdleLoop(GetIdleLoopRequest(video=SMALL)):
        assert response.video.width_px == 128
        frames += response.frames
    assert frames[0].key_frame
    assert [frame.frame_number for frame in frames] == list(range(1, len(frames) + 1))
    assert [frame.start_sample for frame in frames[:3]] == [0, 1920, 3840]
    pictures = [p.astype(int) for p in decode(frame.data for frame in [*frames, *frames])]
    assert len(pictures) == 2 * len(frames)
    seam = np.abs(pictures[len(frames)] - pictures[len(frames) - 1]).mean()
    steps = [np.abs(b - a).mean() for a, b in pairwise(pictures[: len(frames)])]
    assert seam <= 1.5 * max(steps)


async def test_a_turn_starts_where_the_idle_loop_stands_and_says_where_it_goes_on(
    stub: AvatarServiceAsyncStub,
) -> None:
    loop: list[bytes] = []
    async for response in stub.GetIdleLoop(GetIdleLoopRequest(video=SMALL)):
        loop += [frame.data for frame in response.frames]
    idle = [p.astype(int) for p in decode(loop)]
    largest = max(np.abs(b - a).mean() for a, b in pairwise(idle))
    first = len(idle) // 3
    silence = np.zeros(RATE, np.int16)
    rendered = await render(stub, [config(idle_frame=first), *pieces(silence), END])
    talk = [p.astype(int) for p in rendered.pictures()]
    assert rendered.ended is not None
    assert rendered.ended.idle_frame < len(idle)
    assert np.abs(talk[0] - idle[first]).mean() <= 1.5 * largest
    assert np.abs(talk[-1] - idle[rendered.ended.idle_frame]).mean() <= 1.5 * largest


async def test_bad_input_is_refused_by_name_and_the_service_lives(
    stub: AvatarServiceAsyncStub,
) -> None:
    for name, (requests, fault) in BAD_STREAMS.items():
        error = await refused(stub, requests)
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, name
        assert fault in (error.details() or ""), name
        assert await works(stub), name


async def test_an_unknown_avatar_is_not_found(stub: AvatarServiceAsyncStub) -> None:
    error = await refused(stub, [config(avatar="nobody-of-this-name")])
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert "nobody-of-this-name" in (error.details() or "")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in stub.GetIdleLoop(GetIdleLoopRequest(avatar="nobody-of-this-name")):
            pass
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_an_odd_idle_loop_is_refused(stub: AvatarServiceAsyncStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in stub.GetIdleLoop(GetIdleLoopRequest(video=VideoFormat(width_px=513))):
            pass
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "video.width_px" in (caught.value.details() or "")


async def test_marks_beyond_the_audio_and_late_marks_do_no_harm(
    stub: AvatarServiceAsyncStub,
) -> None:
    samples = sound(0.5)
    rendered = await render(
        stub,
        [
            config(),
            marks((11, 0, 1600), (1, 1600, 10**9)),
            *pieces(samples),
            marks((2, 10**9, 5)),
            marks((2, 10**9, 0)),
            END,
        ],
    )
    assert rendered.pcm.startswith(samples.tobytes())


async def test_empty_chunks_of_audio_are_nothing(stub: AvatarServiceAsyncStub) -> None:
    samples = sound(0.1)
    rendered = await render(stub, [config(), audio(0, samples[:0]), audio(0, samples), END])
    assert rendered.pcm.startswith(samples.tobytes())


async def test_a_full_service_says_when_to_come_back(stub: AvatarServiceAsyncStub) -> None:
    capacity = (await stub.DescribeEngine(DescribeEngineRequest())).engine.capacity
    if capacity > 16:
        pytest.skip("the server under test has too many places to fill them here")
    release = asyncio.Event()

    async def hold() -> AsyncIterator[RenderRequest]:
        yield config()
        await release.wait()
        yield END

    calls = [stub.Render(hold()) for _ in range(capacity)]
    for call in calls:
        assert await next_event(call) == "started"
    # Nothing is sent after the config: a write at the end of the call would make it INTERNAL.
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await next_event(stub.Render(hold()))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    release.set()
    for call in calls:
        assert await next_event(call) == "ended"
    assert await works(stub)


async def test_a_caller_who_goes_away_leaves_nothing_behind(stub: AvatarServiceAsyncStub) -> None:
    async def endless() -> AsyncIterator[RenderRequest]:
        yield config()
        at = 0
        piece = sound(0.1)
        while True:
            yield audio(at, piece)
            at += len(piece)

    call = stub.Render(endless())
    for _ in range(5):
        await call.read()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.read()
    assert await works(stub)
