"""Slow work has its own threads: a speaking face does not wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing

import numpy as np
import pytest

from services.avatar.drawing import MakingEngine
from services.avatar.engine import (
    Activity,
    BgrImage,
    Creation,
    CreationOrder,
    CreationStep,
    Frame,
    FrameWindow,
    ImageFile,
    VideoSpec,
)
from services.avatar.engines.testcard import Testcard, TestcardOptions, TestcardStream

VIDEO = VideoSpec(width_px=64, height_px=64, frame_rate_hz=10)
RATE_HZ = 8_000
ORDER = CreationOrder(name="x", consent="it is a test card")


class Gate:
    """A gate at which a thread blocks until the test opens it."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._open = threading.Event()

    def wait(self) -> None:
        self._arrived.set()
        self._open.wait()

    async def reached(self) -> None:
        await asyncio.to_thread(self._arrived.wait)

    def open(self) -> None:
        self._open.set()


class BlockingMaker(Testcard):
    """A test card whose slow work blocks at a gate."""

    def __init__(self) -> None:
        super().__init__(TestcardOptions())
        self.creation = Gate()
        self.loop = Gate()
        self.opening = Gate()

    def create_avatar(
        self, photo: ImageFile, order: CreationOrder, progress: Callable[[str, int], None]
    ) -> Creation:
        progress("looking at the photo", 10)
        self.creation.wait()
        picture = np.zeros((64, 64, 3), np.uint8)
        return Creation(avatar=self.avatars()[0], preview=picture, warnings=())

    def delete_avatar(self, name: str) -> None:
        raise NotImplementedError

    def open_stream(
        self,
        *,
        avatar: str,
        video: VideoSpec,
        sample_rate_hz: int,
        turn_id: str,
        idle_frame: int,
        activity: Activity = Activity.IDLE,
    ) -> TestcardStream:
        if turn_id == "slow":
            self.opening.wait()
        return super().open_stream(
            avatar=avatar,
            video=video,
            sample_rate_hz=sample_rate_hz,
            turn_id=turn_id,
            idle_frame=idle_frame,
            activity=activity,
        )

    def idle_loop(
        self, *, avatar: str, video: VideoSpec, activity: Activity = Activity.IDLE
    ) -> Iterator[BgrImage]:
        self.loop.wait()
        return super().idle_loop(avatar=avatar, video=video, activity=activity)


@pytest.fixture
def maker() -> BlockingMaker:
    return BlockingMaker()


@pytest.fixture
async def engine(maker: BlockingMaker) -> AsyncIterator[MakingEngine]:
    engine = MakingEngine(maker, threads=1)
    await engine.open()
    yield engine
    for gate in (maker.creation, maker.loop, maker.opening):
        gate.open()
    await engine.close()


async def speaks(engine: MakingEngine) -> list[Frame]:
    """Opens a face and draws two frames of it."""
    face = await engine.open_stream(
        avatar="testcard", video=VIDEO, sample_rate_hz=RATE_HZ, turn_id="t", idle_frame=0
    )
    window = FrameWindow(
        frame_count=2, visemes=(), samples=np.zeros(2 * RATE_HZ // 10, np.int16), ended=True
    )
    return list(await face.frames(window))


async def test_a_creation_under_way_delays_neither_frames_nor_lists(
    engine: MakingEngine, maker: BlockingMaker
) -> None:
    async with aclosing(engine.create_avatar(b"photo", ORDER)) as steps:
        assert await anext(steps) == CreationStep(step="looking at the photo", percent=10)
        await maker.creation.reached()
        assert len(await speaks(engine)) == 2
        assert [avatar.name for avatar in await engine.avatars()] == ["testcard"]
        maker.creation.open()
        (creation,) = [step async for step in steps]
    assert isinstance(creation, Creation)


async def test_an_idle_loop_under_way_delays_no_frames(
    engine: MakingEngine, maker: BlockingMaker
) -> None:
    loop = engine.idle_loop(avatar="testcard", video=VIDEO)
    first = asyncio.ensure_future(anext(loop))
    await maker.loop.reached()
    assert len(await speaks(engine)) == 2
    maker.loop.open()
    windows = [await first, *[window async for window in loop]]
    assert sum(len(window) for window in windows) == VIDEO.frame_rate_hz


async def test_a_stream_that_is_slow_to_open_delays_no_frames(
    engine: MakingEngine, maker: BlockingMaker
) -> None:
    slow = asyncio.ensure_future(
        engine.open_stream(
            avatar="testcard", video=VIDEO, sample_rate_hz=RATE_HZ, turn_id="slow", idle_frame=0
        )
    )
    await maker.opening.reached()
    assert len(await speaks(engine)) == 2
    maker.opening.open()
    (await slow).close()
