"""Removes the voice of the face from microphone audio, for clients that do not do it themselves.

Browsers cancel echo if they know which device plays the answer; programs over gRPC or WebSocket
usually do not. Without it the face hears itself, and interrupts itself without end. The canceller
is that of WebRTC (AEC3), as the package `livekit` provides it. While it does not know the echo yet,
it suppresses the person as well; so its output is used only once echo was found (`delay.py`). It
adapts to delays of up to half a second; of a longer one a part is subtracted first.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gateway.listening.echo.delay import EchoDelay
from gateway.listening.echo.reference import PlayedAudio
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute

if TYPE_CHECKING:
    from livekit.rtc.apm import AudioProcessingModule

_FRAME_S: Final = 0.01
"""What AEC3 takes at a time."""
_TAIL_S: Final = 2.0
"""How long after the end of an answer its echo may still arrive."""
_MARGIN_S: Final = 0.04
"""So much earlier the answer is compared, so that no jitter makes the echo come first."""
_FOUND_BY_AEC_S: Final = 0.45
_LEFT_S: Final = 0.2
"""The delay that is left to AEC3 when a longer one was found."""
_LEAST_LEFT_S: Final = -0.02
_SEARCH_EVERY_S: Final = 0.1
_DECIDE_S: Final = 1.6
"""So long microphone audio is held back, once in a session, until an echo is found or not."""
_SAME_S: Final = 0.01
_SEARCH_AGAIN_EVERY_S: Final = 1.0
"""Once an echo is known."""
_LEAST_RATE_HZ: Final = 8_000
_JITTER_S: Final = 0.25
_BEHIND_S: Final = 0.5
"""So long a client that has stalled may take to catch up."""
_DRIFT: Final = 1e-3
"""How fast the clock of a microphone may run away from ours."""


class EchoCanceller:
    """Cleans the microphone audio of one session while the face speaks.

    Args:
        played: What the client plays.
        sample_rate_hz: The rate of the microphone.
        compute: Where the computation runs.
    """

    def __init__(self, played: PlayedAudio, *, sample_rate_hz: int, compute: Compute) -> None:
        self._played = played
        self._rate_hz = sample_rate_hz
        self._compute = compute
        self._frame = round(sample_rate_hz * _FRAME_S)
        self._played_frame = round(played.sample_rate_hz * _FRAME_S)
        self._rest = b""
        self._samples = 0
        self._offset_s = float("inf")
        self._behind_since_s = float("inf")
        self._delay = EchoDelay(played_hz=played.sample_rate_hz, heard_hz=sample_rate_hz)
        self._shift_s = 0.0
        self._searched_s = float("-inf")
        self._is_decided = False
        self._held_pcm = b""
        self._held_cleaned = b""
        self._found_s: float | None = None
        self._heard_echo = False
        self._canceller: AudioProcessingModule | None = None
        self._broken = sample_rate_hz < _LEAST_RATE_HZ

    @property
    def heard_echo(self) -> bool:
        """True once the microphone has clearly heard the loudspeaker."""
        return self._heard_echo

    @property
    def in_use(self) -> bool:
        """True once there was microphone audio."""
        return self._samples > 0

    async def clean(self, pcm: bytes) -> bytes:
        """Takes audio that has just arrived, and returns what is left of it and of the rest before.

        Args:
            pcm: Mono int16 samples, little-endian, without gaps.

        Returns:
            All samples but those of an incomplete frame of 10 ms, which follow with the next call
            or `flush`.
        """
        now_s = asyncio.get_running_loop().time()
        self._samples += len(pcm) // 2
        self._follow_clock(now_s, len(pcm) / 2 / self._rate_hz)
        if self._broken or now_s - self._played.until() > _TAIL_S + self._shift_s:
            self._delay.clear()
            return self.flush() + pcm
        pcm = self._rest + pcm
        whole = len(pcm) // (2 * self._frame) * 2 * self._frame
        self._rest = pcm[whole:]
        if not whole:
            return b""
        starts_s = self._offset_s + (self._samples - len(pcm) // 2) / self._rate_hz
        ends_s = starts_s + whole / 2 / self._rate_hz
        # All is copied before the thread begins: an interruption cuts what is played meanwhile.
        frames = whole // (2 * self._frame)
        reference = self._played.read(
            starts_s - self._shift_s + _MARGIN_S, frames * self._played_frame
        )
        every_s = _SEARCH_AGAIN_EVERY_S if self._heard_echo else _SEARCH_EVERY_S
        searched = b""
        if not 0 <= now_s - self._searched_s < every_s:
            self._searched_s = now_s
            window_s = self._delay.window_s
            count = round(window_s * self._played.sample_rate_hz)
            searched = self._played.read(ends_s - window_s, count)
        try:
            cleaned = await self._compute.run(self._process, pcm[:whole], reference, searched)
        except Exception as error:  # the conversation goes on without it
            get_logger().error("echo cannot be cancelled", exc_info=error)
            self._broken = True
            return self._undecided() + pcm[:whole]
        return self._decided(pcm[:whole], cleaned)

    def flush(self) -> bytes:
        """Returns what was held back and the samples of an incomplete frame, as they are."""
        rest, self._rest = self._rest, b""
        return self._undecided() + rest

    def _decided(self, pcm: bytes, cleaned: bytes) -> bytes:
        """Returns audio with or without its echo, or nothing while that is not known."""
        if self._is_decided:
            return cleaned if self._heard_echo else pcm
        self._held_pcm += pcm
        self._held_cleaned += cleaned
        held_cleaned = self._held_cleaned
        if self._heard_echo or len(self._held_pcm) > 2 * _DECIDE_S * self._rate_hz:
            self._is_decided = True
            held_pcm = self._undecided()
            return held_cleaned if self._heard_echo else held_pcm
        return b""

    def _undecided(self) -> bytes:
        held, self._held_pcm, self._held_cleaned = self._held_pcm, b"", b""
        return held

    def _follow_clock(self, now_s: float, length_s: float) -> None:
        """Estimates when the first sample was recorded: messages arrive late, never early.

        A client that stalled sends all at once what it has recorded meanwhile; one that was
        switched off stays behind.
        """
        offset_s = now_s - self._samples / self._rate_hz
        self._offset_s += _DRIFT * length_s
        if offset_s < self._offset_s:
            self._offset_s = offset_s
        if offset_s <= self._offset_s + _JITTER_S:
            self._behind_since_s = float("inf")
            return
        self._behind_since_s = min(self._behind_since_s, now_s)
        if now_s - self._behind_since_s > _BEHIND_S:
            self._offset_s = offset_s

    def _process(self, pcm: bytes, reference: bytes, searched: bytes) -> bytes:
        """Runs in a thread."""
        from livekit.rtc.apm import AudioProcessingModule
        from livekit.rtc.audio_frame import AudioFrame

        self._delay.add(np.frombuffer(pcm, np.int16))
        if searched:
            self._search(np.frombuffer(searched, np.int16))
        if self._canceller is None:
            self._canceller = AudioProcessingModule(echo_cancellation=True)
        cleaned = bytearray()
        size, played_size = 2 * self._frame, 2 * self._played_frame
        for number in range(len(pcm) // size):
            part = reference[number * played_size : (number + 1) * played_size]
            self._canceller.process_reverse_stream(
                AudioFrame(part, self._played.sample_rate_hz, 1, self._played_frame)
            )
            heard = pcm[number * size : (number + 1) * size]
            frame = AudioFrame(heard, self._rate_hz, 1, self._frame)
            self._canceller.process_stream(frame)
            cleaned += bytes(frame.data)
        return bytes(cleaned)

    def _search(self, played: NDArray[np.int16]) -> None:
        delay_s, before_s = self._delay.find_s(played), self._found_s
        self._found_s = delay_s
        # One search alone may be wrong: what has just begun to play is like any other beginning.
        if delay_s is None or before_s is None or abs(delay_s - before_s) > _SAME_S:
            return
        self._heard_echo = True
        if not _LEAST_LEFT_S < delay_s - self._shift_s < _FOUND_BY_AEC_S:
            self._shift_s = max(0.0, delay_s - _LEFT_S)
            # A new one finds the delay sooner than one that has adapted to another.
            self._canceller = None
