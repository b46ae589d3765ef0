"""Audio and video stay in sync: flashes and clicks through the whole pipeline.

Speech synthesis is scripted to click; segmentation, the talking head's clock and encoder, the
gateway's playout and the muxer are the real ones. The file is decoded as a player would decode it.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from anima.common import v1 as common
from anima.gateway import v1 as gateway
from anima.tts import v1 as tts
from gateway.http.ask.asking import ask
from gateway.http.ask.media_files import to_mp4
from services.avatar.servicer import build
from services.avatar.settings import AvatarSettings
from services.runtime.server import serving
from testing.fakes.mesh import FakeMesh
from testing.fakes.stages import FakeTts
from tests.figures import report

CLICK_EVERY_MS = 520
CLICK_LEVEL = 30_000
SEGMENT_MS = 2_600
LARGEST_OFFSET_MS = 20.0
"""Half of what the issue of the contract allows: 40 ms."""


class ClickingTts(FakeTts):
    """Speaks clicks, each on the first sample of a frame."""

    async def _speak(
        self, config: tts.SynthesizeConfig, segment: tts.TextSegment, made: int
    ) -> AsyncIterator[tuple[tts.SynthesizeResponse, int]]:
        rate_hz = config.sample_rate_hz
        pcm = np.zeros(SEGMENT_MS * rate_hz // 1000, "<i2")
        for start_ms in range(CLICK_EVERY_MS, SEGMENT_MS, CLICK_EVERY_MS):
            first = start_ms * rate_hz // 1000
            pcm[first : first + rate_hz // 500] = CLICK_LEVEL
        header = common.ChunkHeader(
            turn_id=config.turn_id, epoch=config.epoch, segment=segment.segment, sequence=1
        )
        for done in range(0, pcm.size, rate_hz // 10):
            piece = pcm[done : done + rate_hz // 10]
            chunk = common.AudioChunk(
                header=header,
                start_sample=made + done,
                sample_rate_hz=rate_hz,
                pcm=piece.tobytes(),
            )
            yield tts.SynthesizeResponse(audio=chunk), piece.size


def flash_times_ms(film: bytes) -> NDArray[np.float64]:
    with av.open(io.BytesIO(film), "r") as source:
        times, levels = [], []
        for frame in source.decode(video=0):
            times.append(float(frame.time or 0.0) * 1000)
            levels.append(frame.to_ndarray(format="gray8").mean())
    white = np.array(levels) > 128
    return np.array(times)[white & ~np.roll(white, 1)]


def click_times_ms(film: bytes) -> NDArray[np.float64]:
    with av.open(io.BytesIO(film), "r") as source:
        rate_hz = source.streams.audio[0].rate
        first_ms: float | None = None
        pieces = []
        for frame in source.decode(audio=0):
            first_ms = float(frame.time or 0.0) * 1000 if first_ms is None else first_ms
            pieces.append(np.abs(frame.to_ndarray()).max(axis=0))
    assert first_ms is not None
    loud = np.concatenate(pieces) > 0.3
    starts = np.flatnonzero(loud & ~np.roll(loud, 1))
    # the waveform of a click crosses the threshold more than once
    starts = starts[np.diff(starts, prepend=-rate_hz) > rate_hz // 10]
    return first_ms + starts / rate_hz * 1000


@pytest.mark.parametrize("frame_rate_hz", [25, 30])
async def test_flash_and_click_meet_in_the_film(frame_rate_hz: int) -> None:
    settings = AvatarSettings(listen="127.0.0.1:0", engine="testcard")
    async with FakeMesh() as fake, serving(build(settings), settings) as testcard:
        await testcard.ready
        await fake.stop("tts")
        fake.tts = ClickingTts()
        await fake.start("tts")
        fake.llm.answer = ["Here are some clicks, and then some more of them. And the last ones."]
        async with fake.mesh(avatar_target=testcard.address) as mesh:
            config = gateway.ConverseConfig(
                avatar="testcard", video=common.VideoFormat(frame_rate_hz=frame_rate_hz)
            )
            reply = await ask(mesh, config, "Click.", timeout_s=30)
    film = to_mp4(
        reply.frames,
        frame_rate_hz=reply.frame_rate_hz,
        pcm=bytes(reply.pcm),
        sample_rate_hz=reply.sample_rate_hz,
    )
    flashes, clicks = flash_times_ms(film), click_times_ms(film)
    assert flashes.size == clicks.size >= 8
    offsets = flashes - clicks
    report(
        f"picture after sound at {frame_rate_hz} Hz: {offsets.min():.1f} to {offsets.max():.1f} ms"
    )
    allowed_ms = max(LARGEST_OFFSET_MS, 1000 / frame_rate_hz)
    assert np.abs(offsets).max() < allowed_ms
