"""Properties that are invisible from outside: bounds, and back-pressure of a slow reader."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from anima.avatar.v1 import EndOfAudio, RenderConfig, RenderRequest
from anima.common.v1 import AudioChunk
from services.avatar.animation.idle_loops import IdleLoops
from services.avatar.drawing import DrawnStream
from services.avatar.engine import VideoSpec
from services.avatar.engines.testcard import Testcard, TestcardEngine, TestcardOptions
from services.avatar.session import MAX_WAITING_S, RenderSession
from services.avatar.settings import AvatarSettings
from services.avatar.turn import Turn
from services.avatar.video.clock import FrameClock
from services.avatar.video.x264 import X264Encoder
from services.runtime.compute import Compute

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


async def test_few_idle_loops_are_kept(compute: Compute) -> None:
    loops = IdleLoops(TestcardEngine(AvatarSettings()), compute, preset="ultrafast")
    sizes = np.arange(64, 64 + 2 * 30, 2)
    for side in sizes:
        spec = VideoSpec(width_px=int(side), height_px=64, frame_rate_hz=10)
        await loops.get(CARD, spec)
    assert len(loops._loops) <= 24
    compute.close()
