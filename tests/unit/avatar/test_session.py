"""Properties that are invisible from outside: bounds, and back-pressure of a slow reader."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import grpc
import numpy as np
import pytest

from anima.avatar.v1 import (
    AvatarServiceStub,
    EndOfAudio,
    GetIdleLoopRequest,
    RenderConfig,
    RenderRequest,
)
from anima.common.v1 import AudioChunk, VideoFormat
from services.avatar.animation.idle_loops import IdleLoops
from services.avatar.drawing import DrawnStream
from services.avatar.engine import Activity, Frame, VideoSpec
from services.avatar.engines.testcard import Testcard, TestcardEngine, TestcardOptions
from services.avatar.servicer import build
from services.avatar.session import MAX_WAITING_S, RenderSession
from services.avatar.settings import AvatarSettings
from services.avatar.turn import Turn
from services.avatar.video.clock import FrameClock
from services.avatar.video.x264 import X264Encoder
from services.runtime.process.compute import Compute
from services.runtime.process.tasks import Tasks
from services.runtime.server import serving

if TYPE_CHECKING:
    from anima.avatar.v1.avatar_pb2_grpc import AvatarServiceAsyncStub

RATE = 8000
VIDEO = VideoSpec(width_px=64, height_px=64, frame_rate_hz=10)
CARD = Testcard(TestcardOptions()).avatars()[0]


@pytest.fixture
def compute() -> Compute:
    return Compute(threads=1, name="test")


def new_turn(compute: Compute) -> Turn:
    face = Testcard(TestcardOptions()).open_stream(
        avatar="testcard", video=VIDEO, sample_rate_hz=RATE, turn_id="t", idle_frame=0
    )
    clock = FrameClock(sample_rate_hz=RATE, frame_rate_hz=10)
    encoder = X264Encoder(VIDEO, preset="ultrafast")
    return Turn(DrawnStream(face, compute), encoder, clock, compute)


async def test_a_slow_reader_stops_the_sender(compute: Compute) -> None:
    sent_s = 0
    stopped = asyncio.Event()

    async def send() -> AsyncIterator[RenderRequest]:
        nonlocal sent_s
        for second in range(60):
            yield RenderRequest(
                audio=AudioChunk(
                    start_sample=second * RATE, sample_rate_hz=RATE, pcm=bytes(2 * RATE)
                )
            )
            sent_s = second + 1
            if sent_s == MAX_WAITING_S:
                stopped.set()
        yield RenderRequest(end_of_audio=EndOfAudio())

    config = RenderConfig(turn_id="t", sample_rate_hz=RATE)
    turn = new_turn(compute)
    responses = RenderSession(config, turn, send()).responses()
    first = await anext(responses)
    assert len(first.media.frames) == 1
    await stopped.wait()
    for _ in range(50):
        await asyncio.sleep(0)
    assert sent_s <= MAX_WAITING_S + 1
    assert turn.frame_count == 1

    frames = 1
    async for response in responses:
        frames += len(response.media.frames)
        assert sent_s <= turn.sample_count // RATE + MAX_WAITING_S + 2
    assert frames == 600
    compute.close()


async def test_an_abandoned_session_ends_its_reader(compute: Compute) -> None:
    ended = asyncio.Event()

    async def send() -> AsyncIterator[RenderRequest]:
        try:
            yield RenderRequest(
                audio=AudioChunk(start_sample=0, sample_rate_hz=RATE, pcm=bytes(2 * RATE))
            )
            await asyncio.Event().wait()
        finally:
            ended.set()

    config = RenderConfig(turn_id="t", sample_rate_hz=RATE)
    responses = RenderSession(config, new_turn(compute), send()).responses()
    await anext(responses)
    await responses.aclose()
    await ended.wait()
    compute.close()


async def test_an_idle_loop_is_made_once_for_all_who_want_it(compute: Compute) -> None:
    loops = IdleLoops(TestcardEngine(AvatarSettings()), compute, preset="ultrafast")
    first, second = await asyncio.gather(loops.get(CARD, VIDEO), loops.get(CARD, VIDEO))
    assert first is second
    assert len(first) == 10


class PacedEngine(TestcardEngine):
    """Draws its loop frame by frame, when a test lets it, and says when it was stopped."""

    def __init__(self) -> None:
        super().__init__(AvatarSettings())
        self.loops = 0
        self.drawing = asyncio.Event()
        self.stopped = asyncio.Event()
        self.go = asyncio.Event()

    async def idle_loop(
        self, *, avatar: str, video: VideoSpec, activity: Activity = Activity.IDLE
    ) -> AsyncGenerator[Sequence[Frame], None]:
        self.loops += 1
        try:
            async with aclosing(
                super().idle_loop(avatar=avatar, video=video, activity=activity)
            ) as windows:
                async for window in windows:
                    yield window
                    self.drawing.set()
                    await self.go.wait()
        finally:
            self.stopped.set()


async def test_an_idle_loop_that_nobody_waits_for_any_more_is_not_made(compute: Compute) -> None:
    engine, tasks = PacedEngine(), Tasks("test")
    loops = IdleLoops(engine, compute, preset="ultrafast")
    async with asyncio.timeout(90):
        first, second = (tasks.start(loops.get(CARD, VIDEO)) for _ in range(2))
        other = tasks.start(loops.get(CARD, replace(VIDEO, width_px=128)))
        await engine.drawing.wait()
        first.cancel()
        await asyncio.wait([first])
        assert not engine.stopped.is_set()
        second.cancel()
        other.cancel()
        await engine.stopped.wait()
        await asyncio.wait([second, other])
        assert engine.loops == 1
        engine.go.set()
        assert len(await loops.get(CARD, VIDEO)) == 10
    await loops.close()
    await engine.close()


async def test_a_caller_that_cancels_stops_the_drawing_of_its_idle_loop() -> None:
    engine, settings = PacedEngine(), AvatarSettings(listen="127.0.0.1:0")
    async with asyncio.timeout(90):
        engine.go.set()  # the warm-up makes the loops of the avatars
        async with (
            serving(build(settings, engine), settings) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            await server.ready
            engine.go.clear()
            engine.drawing.clear()
            engine.stopped.clear()
            video = VideoFormat(width_px=128, height_px=128)
            stub = cast("AvatarServiceAsyncStub", AvatarServiceStub(channel))
            call = stub.GetIdleLoop(GetIdleLoopRequest(video=video))
            reading = asyncio.ensure_future(call.read())
            await engine.drawing.wait()
            call.cancel()
            await engine.stopped.wait()
            await asyncio.wait([reading])


async def test_few_idle_loops_are_kept(compute: Compute) -> None:
    loops = IdleLoops(TestcardEngine(AvatarSettings()), compute, preset="ultrafast")
    sizes = np.arange(64, 64 + 2 * 30, 2)
    for side in sizes:
        spec = VideoSpec(width_px=int(side), height_px=64, frame_rate_hz=10)
        await loops.get(CARD, spec)
    assert len(loops._loops) <= 24
    assert loops._bytes == sum(len(f.data) for frames in loops._loops.values() for f in frames)
    compute.close()


async def test_idle_loops_are_bounded_in_bytes(
    compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.avatar.animation.idle_loops._MAX_BYTES", 1)
    loops = IdleLoops(TestcardEngine(AvatarSettings()), compute, preset="ultrafast")
    for side in (64, 66, 68):
        await loops.get(CARD, replace(VIDEO, width_px=side))
    assert [key.video.width_px for key in loops._loops] == [68]
    compute.close()
