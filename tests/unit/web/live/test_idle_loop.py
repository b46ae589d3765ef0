"""The idle loop: entries from any frame decode by themselves and look like the loop."""

from __future__ import annotations

import itertools

import av
import numpy as np
import pytest

from anima.avatar.v1.avatar_pb2 import Activity
from gateway.webrtc.idle_loop import IdleCursor, IdleLoop
from gateway.webrtc.idle_loops import IdleLoops
from gateway.webrtc.recoding import CodedPicture, coded
from services.runtime.errors import NotFound
from services.runtime.process.compute import Compute
from testing.fakes.frames import FRAME_RATE_HZ, clip
from testing.fakes.mesh import FakeMesh


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


def bars(activity: Activity.ValueType, shift_px: int) -> IdleLoop:
    """A bar that moves back and forth, with a different look at another position."""
    frames = []
    for number in range(100):
        at = 24 + shift_px + round(10 * np.sin(2 * np.pi * number / 100))
        picture = np.full((48, 96, 3), 60, np.uint8)
        picture[:, at : at + 12] = 200
        frames.append(av.VideoFrame.from_ndarray(picture, format="rgb24"))
    pictures = [
        picture for start in range(0, 100, 25) for picture in coded(frames[start : start + 25], 25)
    ]
    return IdleLoop(pictures=tuple(pictures), frame_rate_hz=25, activity=activity)


@pytest.mark.parametrize("key_frame", [0, 25, 75])
async def test_one_look_becomes_another_without_a_jump(key_frame: int) -> None:
    idle, listening = bars(Activity.ACTIVITY_IDLE, 0), bars(Activity.ACTIVITY_LISTENING, 6)
    compute = Compute(threads=1, name="test")
    try:
        crossing = await listening.crossing(idle, key_frame, compute)
        again = await listening.crossing(idle, key_frame, compute)
    finally:
        compute.close()
    cursor = IdleCursor(idle, (key_frame - 25) % 100)
    assert cursor.cross(crossing)
    seen = decoded([cursor.next() for _ in range(60)])

    steps = [np.abs(b - a).mean() for a, b in itertools.pairwise(seen)]
    looks = [decoded([loop.pictures[0].data])[0] for loop in (idle, listening)]
    at_once = np.abs(looks[1] - looks[0]).mean()
    assert again is crossing
    assert cursor.loop is listening
    assert max(steps) < at_once / 3
    whole = decoded([picture.data for picture in listening.pictures])
    assert np.abs(seen[-1] - whole[(key_frame - 25 + 59) % 100]).max() <= 3


async def test_crossing_that_comes_too_late_or_from_elsewhere_is_not_taken() -> None:
    idle, listening = bars(Activity.ACTIVITY_IDLE, 0), bars(Activity.ACTIVITY_LISTENING, 6)
    compute = Compute(threads=1, name="test")
    try:
        crossing = await listening.crossing(idle, 25, compute)
    finally:
        compute.close()
    late, elsewhere = IdleCursor(idle, 25), IdleCursor(listening)

    assert not late.cross(crossing)
    assert not elsewhere.cross(crossing)
    assert late.next_crossing(listening, lead_frames=5) == 50
    assert IdleCursor(idle).next_crossing(listening, lead_frames=20) == 50
    assert IdleCursor(idle).next_crossing(listening, lead_frames=5) == 25


async def test_replaced_avatar_and_other_looks_are_fetched_anew() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        loops = IdleLoops(mesh)
        first = await loops.get("ani", version="1")
        listening = await loops.get("ani", version="1", activity=Activity.ACTIVITY_LISTENING)

        assert await loops.get("ani", version="1") is first
        assert await loops.get("ani", version="2") is not first
        assert listening.activity == Activity.ACTIVITY_LISTENING
        assert listening.fits(first)


async def test_loop_of_a_talking_head_is_fetched_once_and_an_unknown_one_is_an_error() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        loops = IdleLoops(mesh)
        first = await loops.get("ani")
        assert await loops.get("ani") is first
        assert len(first.pictures) == 50
        assert first.frame_rate_hz == FRAME_RATE_HZ
        with pytest.raises(NotFound):
            await loops.get("nobody")
