"""The programme as tracks of a peer connection, paced by one clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from gateway.webrtc.program import Picture, Playing, Program
from gateway.webrtc.talk import CLOCK_HZ

_TIME_BASE = Fraction(1, CLOCK_HZ)
_MAX_WAITING = 25
_MAX_LATE_S = 0.5
_REPORT_PACKETS = 5


class _Track(MediaStreamTrack):
    """Returns media from the pump; a sender that does not keep up loses the oldest items."""

    def __init__(self) -> None:
        super().__init__()
        self._media: asyncio.Queue[av.AudioFrame | av.Packet[Any] | None] = asyncio.Queue(
            _MAX_WAITING
        )

    def put(self, media: av.AudioFrame | av.Packet[Any] | None) -> None:
        """Adds media to send now; None ends the track."""
        if self._media.full():
            self._media.get_nowait()
        self._media.put_nowait(media)

    async def recv(self) -> av.AudioFrame | av.Packet[Any]:
        """Returns the next media to send."""
        if self.readyState != "live" or (media := await self._media.get()) is None:
            raise MediaStreamError
        return media

    def stop(self) -> None:
        """Ends the track and wakes tasks that wait for it."""
        super().stop()
        self.put(None)


class SoundTrack(_Track):
    """Raw audio, which the sender encodes as Opus."""

    kind = "audio"


class PictureTrack(_Track):
    """H.264 as received; the sender only splits it into packets."""

    kind = "video"


class Pump:
    """Feeds the two tracks of a programme, each item at its time.

    Args:
        program: The programme that is played.
        report: Called about ten times a second with the playback state of the current answer.
    """

    def __init__(self, program: Program, *, report: Callable[[Playing], None]) -> None:
        self.sound = SoundTrack()
        self.pictures = PictureTrack()
        self._program = program
        self._report = report

    async def run(self) -> None:
        """Plays until it is cancelled."""
        loop = asyncio.get_running_loop()
        program = self._program
        now = program.sound_ticks
        start = loop.time() - now / CLOCK_HZ
        packets = 0
        while True:
            late = loop.time() - start - now / CLOCK_HZ
            if late > _MAX_LATE_S:
                start += late  # the machine slept: missed media must not be sent in a burst
            await asyncio.sleep(-late)
            if program.sound_ticks <= now:
                self.sound.put(_audio_frame(program.sound(), now))
                packets += 1
                if packets % _REPORT_PACKETS == 0 and (playing := program.progress()):
                    self._report(playing)
            if (picture := program.picture(now)) is not None:
                self.pictures.put(_packet(picture))
            now = program.due_after(now)


def _audio_frame(samples: NDArray[np.int16], ticks: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = CLOCK_HZ, ticks, _TIME_BASE
    return frame


def _packet(picture: Picture) -> av.Packet[Any]:
    packet: av.Packet[Any] = av.Packet(picture.data)
    packet.pts, packet.time_base = picture.ticks, _TIME_BASE
    return packet
