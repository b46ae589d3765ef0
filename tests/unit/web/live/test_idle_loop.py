"""The idle loop: entries from any frame decode by themselves and look like the loop."""

from __future__ import annotations

import av
import numpy as np
import pytest

from gateway.web.live.idle_loop import CodedPicture, IdleCursor, IdleLoop, IdleLoops
from services.runtime.compute import Compute
from services.runtime.errors import NotFound
from tests.fakes.frames import FRAME_RATE_HZ, clip
from tests.fakes.mesh import FakeMesh


def real_loop() -> IdleLoop:
    pictures = tuple(CodedPicture(key, data) for key, data in clip()[:50])
    return IdleLoop(pictures=pictures, frame_rate_hz=FRAME_RATE_HZ)


def decoded(units: list[bytes]) -> list[np.ndarray]:
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit))]
    frames += decoder.decode(None)
    return [frame.to_ndarray(format="gray8").astype(int) for frame in frames]


@pytest.mark.parametrize("frame", [0, 1, 7, 24, 25, 49])
async def test_loop_is_entered_at_any_frame_without_a_jump(frame: int) -> None:
    loop = real_loop()
    whole = decoded([picture.data for picture in loop.pictures])
    compute = Compute(threads=1, name="test")
    try:
        await loop.prepare(frame, compute)
    finally:
        compute.close()
    cursor = IdleCursor(loop)
    cursor.enter(frame)
    seen = decoded([cursor.next() for _ in range(50)])

    assert len(seen) == 50
    for shown, picture in enumerate(seen):
        assert np.abs(picture - whole[(frame + shown) % 50]).max() <= 3


async def test_entry_is_made_once() -> None:
    loop = real_loop()
    compute = Compute(threads=1, name="test")
    try:
        await loop.prepare(7, compute)
        first = loop.entry(7)
        await loop.prepare(7, compute)
    finally:
        compute.close()

    assert first
    assert loop.entry(7) is first


def test_nearest_key_frame_is_found_across_the_seam() -> None:
    loop = real_loop()
    assert [loop.nearest_key_frame(frame) for frame in (3, 20, 30, 47)] == [0, 25, 25, 0]


async def test_loop_of_a_talking_head_is_fetched_once_and_an_unknown_one_is_an_error() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        loops = IdleLoops(mesh)
        first = await loops.get("ani")
        assert await loops.get("ani") is first
        assert len(first.pictures) == 50
        assert first.frame_rate_hz == FRAME_RATE_HZ
        with pytest.raises(NotFound):
            await loops.get("nobody")
