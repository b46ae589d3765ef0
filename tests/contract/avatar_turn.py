"""A client of an avatar service: builds requests, collects responses, sends bad streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import av
import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from anima.avatar.v1 import (
    Ended,
    EndOfAudio,
    RenderConfig,
    RenderRequest,
    RenderResponse,
    Started,
)
from anima.common.v1 import (
    AudioChunk,
    ChunkHeader,
    Interrupt,
    Interrupted,
    Marks,
    MediaChunk,
    SampleSpan,
    VideoFormat,
    VisemeMark,
    WordMark,
)

if TYPE_CHECKING:
    from anima.avatar.v1.avatar_pb2_grpc import AvatarServiceAsyncStub

RATE = 16_000
SMALL = VideoFormat(width_px=128, height_px=128, frame_rate_hz=25)


def config(**changes: object) -> RenderRequest:
    values: dict[str, object] = {"turn_id": "turn-1", "sample_rate_hz": RATE, "video": SMALL}
    return RenderRequest(config=RenderConfig(**(values | changes)))  # type: ignore[arg-type]


def audio(start: int, samples: NDArray[np.int16], **changes: object) -> RenderRequest:
    values: dict[str, object] = {
        "header": ChunkHeader(turn_id="turn-1", segment=1, sequence=1),
        "start_sample": start,
        "sample_rate_hz": RATE,
        "pcm": samples.astype("<i2").tobytes(),
    }
    return RenderRequest(audio=AudioChunk(**(values | changes)))  # type: ignore[arg-type]


def pieces(samples: NDArray[np.int16], size: int = 1600) -> list[RenderRequest]:
    return [audio(i, samples[i : i + size]) for i in range(0, len(samples), size)]


def marks(*parts: tuple[int, int, int]) -> RenderRequest:
    """Marks of (viseme, start, count)."""
    return RenderRequest(
        marks=Marks(
            visemes=[
                VisemeMark(
                    viseme=viseme,  # type: ignore[arg-type]
                    samples=SampleSpan(start_sample=start, sample_count=count),
                )
                for viseme, start, count in parts
            ]
        )
    )


END = RenderRequest(end_of_audio=EndOfAudio())


def interrupt(epoch: int) -> RenderRequest:
    return RenderRequest(interrupt=Interrupt(epoch=epoch))


def sound(seconds: float, seed: int = 1) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-6000, 6000, round(seconds * RATE)).astype(np.int16)


@dataclass
class Rendered:
    """All responses of a stream."""

    events: list[str] = field(default_factory=list)
    started: Started | None = None
    media: list[MediaChunk] = field(default_factory=list)
    ended: Ended | None = None
    interrupted: Interrupted | None = None

    def take(self, response: RenderResponse) -> None:
        event = response.WhichOneof("event")
        assert event is not None
        self.events.append(event)
        if event == "media":
            self.media.append(response.media)
        else:
            setattr(self, event, getattr(response, event))

    @property
    def pcm(self) -> bytes:
        return b"".join(chunk.audio.pcm for chunk in self.media)

    def pictures(self) -> list[NDArray[np.uint8]]:
        return decode(frame.data for chunk in self.media for frame in chunk.frames)


def decode(units: Iterable[bytes]) -> list[NDArray[np.uint8]]:
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for data in units for frame in decoder.decode(av.Packet(data))]
    frames += decoder.decode(None)
    return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in frames]


async def render(stub: AvatarServiceAsyncStub, requests: Iterable[RenderRequest]) -> Rendered:
    async def send() -> AsyncIterator[RenderRequest]:
        for request in requests:
            yield request

    rendered = Rendered()
    async for response in stub.Render(send()):
        rendered.take(response)
    assert rendered.events[-1] in ("ended", "interrupted"), "the stream ended without its end"
    return rendered


async def refused(
    stub: AvatarServiceAsyncStub, requests: Iterable[RenderRequest]
) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await render(stub, requests)
    return caught.value


async def next_event(call: grpc.aio.StreamStreamCall[RenderRequest, RenderResponse]) -> str:
    response = await call.read()
    assert isinstance(response, RenderResponse)
    return response.WhichOneof("event") or ""


async def works(stub: AvatarServiceAsyncStub) -> bool:
    samples = sound(0.1)
    rendered = await render(stub, [config(), audio(0, samples), END])
    return rendered.ended is not None and rendered.pcm.startswith(samples.tobytes())


GOOD = sound(0.1)
BAD_STREAMS: dict[str, tuple[list[RenderRequest], str]] = {
    "nothing": ([], "config"),
    "no config": ([audio(0, GOOD)], "config"),
    "config twice": ([config(), config()], "config"),
    "no arm first": ([RenderRequest()], "message"),
    "no arm later": ([config(), RenderRequest()], "message"),
    "no turn": ([config(turn_id="")], "config.turn_id"),
    "bad turn": ([config(turn_id="a b")], "config.turn_id"),
    "rate too low": ([config(sample_rate_hz=7999)], "config.sample_rate_hz"),
    "rate too high": ([config(sample_rate_hz=48_001)], "config.sample_rate_hz"),
    "no rate": ([config(sample_rate_hz=0)], "config.sample_rate_hz"),
    "odd width": ([config(video=VideoFormat(width_px=513))], "config.video.width_px"),
    "odd height": ([config(video=VideoFormat(height_px=513))], "config.video.height_px"),
    "too large": ([config(video=VideoFormat(width_px=20_000))], "config.video.width_px"),
    "too small": ([config(video=VideoFormat(height_px=2))], "config.video.height_px"),
    "too slow": ([config(video=VideoFormat(frame_rate_hz=9))], "config.video.frame_rate_hz"),
    "too fast": ([config(video=VideoFormat(frame_rate_hz=61))], "config.video.frame_rate_hz"),
    "unknown codec": (
        [config(video=VideoFormat(codec=99))],  # type: ignore[arg-type]
        "config.video.codec",
    ),
    "other rate": ([config(), audio(0, GOOD, sample_rate_hz=8000)], "audio.sample_rate_hz"),
    "gap": ([config(), audio(0, GOOD), audio(1601, GOOD)], "audio.start_sample"),
    "overlap": ([config(), audio(0, GOOD), audio(1599, GOOD)], "audio.start_sample"),
    "half a sample": ([config(), audio(0, GOOD, pcm=b"\1\2\3")], "audio.pcm"),
    "too much at once": ([config(), audio(0, GOOD, pcm=bytes(65_538))], "audio.pcm"),
    "another turn's audio": (
        [config(), audio(0, GOOD, header=ChunkHeader(turn_id="other"))],
        "audio.header.turn_id",
    ),
    "another turn's marks": (
        [config(), RenderRequest(marks=Marks(header=ChunkHeader(turn_id="other")))],
        "marks.header.turn_id",
    ),
    "viseme not set": ([config(), marks((0, 0, 100))], "marks.visemes[0].viseme"),
    "unknown viseme": ([config(), marks((1, 0, 100), (16, 100, 100))], "marks.visemes[1].viseme"),
    "negative start": ([config(), marks((11, -5, 100))], "marks.visemes[0].samples.start_sample"),
    "negative length": ([config(), marks((11, 5, -1))], "marks.visemes[0].samples.sample_count"),
    "enormous length": ([config(), marks((11, 5, 2**62))], "marks.visemes[0].samples"),
    "marks backwards": (
        [config(), marks((11, 500, 100), (2, 100, 100))],
        "marks.visemes[1].samples.start_sample",
    ),
    "word with a negative start": (
        [
            config(),
            RenderRequest(
                marks=Marks(words=[WordMark(text="a", samples=SampleSpan(start_sample=-1))])
            ),
        ],
        "marks.words[0].samples.start_sample",
    ),
    "audio after the end": (
        [config(), *pieces(sound(4)), END, audio(4 * RATE, GOOD)],
        "end_of_audio",
    ),
    "end twice": ([config(), *pieces(sound(4)), END, END], "end_of_audio"),
    "closed without an end": ([config(), audio(0, GOOD)], "end_of_audio"),
    "interrupt of the same epoch": ([config(epoch=2), interrupt(2)], "interrupt.epoch"),
}
