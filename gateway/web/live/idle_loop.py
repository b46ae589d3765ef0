"""The pre-coded idle loop, and how one gets into it at any of its frames."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from fractions import Fraction

import av
import grpc
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from anima.avatar.v1.avatar_pb2 import GetIdleLoopRequest
from anima.common.v1.common_pb2 import VideoFormat
from gateway.mesh import Mesh
from services.runtime.compute import Compute
from services.runtime.errors import InternalError, error_from_rpc

_FETCH_TIMEOUT_S = 30.0
_MAX_LOOPS = 8
_MAX_ENTRIES = 64


@dataclass(frozen=True)
class CodedPicture:
    """One access unit in Annex B form."""

    key_frame: bool
    data: bytes


@dataclass(frozen=True, kw_only=True)
class IdleLoop:
    """The loop of one avatar.

    A decoder may enter a stream only at a key frame, but an answer ends where it ends: an *entry*
    is the stretch from any frame to the loop's next key frame, coded anew so that it begins with a
    key frame of its own. Entries are made once each.

    Attributes:
        pictures: the coded frames, the first of them a key frame.
        frame_rate_hz: how fast they are shown.
    """

    pictures: tuple[CodedPicture, ...]
    frame_rate_hz: int
    _entries: OrderedDict[int, tuple[CodedPicture, ...]] = field(default_factory=OrderedDict)

    def entry(self, frame: int) -> tuple[CodedPicture, ...] | None:
        """Returns what leads from a frame to the next key frame; None if it is yet to be made."""
        if self.pictures[frame].key_frame:
            return ()
        return self._entries.get(frame)

    def nearest_key_frame(self, frame: int) -> int:
        """Returns the key frame that is the fewest frames away, across the loop's seam too."""
        count = len(self.pictures)
        keys = [n for n, picture in enumerate(self.pictures) if picture.key_frame]
        return min(keys, key=lambda key: min((key - frame) % count, (frame - key) % count))

    async def prepare(self, frame: int, compute: Compute) -> None:
        """Makes the entry at a frame, if there is none."""
        if self.entry(frame) is None:
            self._entries[frame] = await compute.run(self._make_entry, frame)
            if len(self._entries) > _MAX_ENTRIES:
                self._entries.popitem(last=False)

    def _make_entry(self, frame: int) -> tuple[CodedPicture, ...]:
        first = max(n for n in range(frame + 1) if self.pictures[n].key_frame)
        later = (n for n in range(frame, len(self.pictures)) if self.pictures[n].key_frame)
        last = next(later, len(self.pictures))
        decoder = av.CodecContext.create("h264", "r")
        shown = []
        for picture in self.pictures[first:last]:
            shown += decoder.decode(av.Packet(picture.data))
        shown += decoder.decode(None)
        return _coded(shown[frame - first :], self.frame_rate_hz)


def _coded(frames: list[av.VideoFrame], rate_hz: int) -> tuple[CodedPicture, ...]:
    encoder: VideoCodecContext = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = frames[0].width, frames[0].height
    encoder.pix_fmt = "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(rate_hz), Fraction(1, rate_hz)
    encoder.thread_count = 1
    # As the talking heads code: a decoder must not notice where the entry ends.
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "crf": "18",
        "x264-params": "annexb=1:repeat-headers=1:scenecut=0:bframes=0:"
        "colorprim=smpte170m:transfer=smpte170m:colormatrix=smpte170m:range=tv",
    }
    packets = []
    for number, frame in enumerate(frames):
        plain = frame.reformat(format="yuv420p")
        plain.pts, plain.time_base = number, encoder.time_base
        plain.pict_type = PictureType.NONE if number else PictureType.I
        packets += encoder.encode(plain)
    packets += encoder.encode(None)
    return tuple(CodedPicture(bool(packet.is_keyframe), bytes(packet)) for packet in packets)


class IdleCursor:
    """Walks through a loop."""

    def __init__(self, loop: IdleLoop, frame: int = 0) -> None:
        self.loop = loop
        self._frame = loop.nearest_key_frame(frame % len(loop.pictures))
        self._entry: tuple[CodedPicture, ...] = ()
        self._entered_at = 0

    @property
    def frame(self) -> int:
        """The frame that is shown next."""
        return self._frame

    def enter(self, frame: int) -> None:
        """Goes to a frame; where its entry has not been made, to the key frame next to it."""
        frame %= len(self.loop.pictures)
        entry = self.loop.entry(frame)
        self._frame = self.loop.nearest_key_frame(frame) if entry is None else frame
        self._entry, self._entered_at = entry or (), self._frame

    def next(self) -> bytes:
        """Returns the next access unit."""
        frame = self._frame
        self._frame = (frame + 1) % len(self.loop.pictures)
        into_entry = frame - self._entered_at
        if 0 <= into_entry < len(self._entry):
            return self._entry[into_entry].data
        self._entry = ()
        return self.loop.pictures[frame].data


class IdleLoops:
    """The loops that were shown last; each is asked for once.

    Args:
        mesh: the stages.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._loops: OrderedDict[str, IdleLoop] = OrderedDict()
        self._fetching = asyncio.Lock()

    async def get(self, avatar: str) -> IdleLoop:
        """Returns the loop of an avatar.

        Raises:
            AnimaError: the talking head does not give it.
        """
        async with self._fetching:
            if avatar not in self._loops:
                self._loops[avatar] = await self._fetch(avatar)
        self._loops.move_to_end(avatar)
        if len(self._loops) > _MAX_LOOPS:
            self._loops.popitem(last=False)
        return self._loops[avatar]

    async def _fetch(self, avatar: str) -> IdleLoop:
        pictures: list[CodedPicture] = []
        video = VideoFormat()
        try:
            request = GetIdleLoopRequest(avatar=avatar)
            async for part in self._mesh.avatar.GetIdleLoop(request, timeout=_FETCH_TIMEOUT_S):
                video.MergeFrom(part.video)
                pictures += (CodedPicture(f.key_frame, f.data) for f in part.frames)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error
        if not pictures or not pictures[0].key_frame or not video.frame_rate_hz:
            raise InternalError("avatar: the idle loop has no key frame to begin with")
        return IdleLoop(pictures=tuple(pictures), frame_rate_hz=video.frame_rate_hz)
