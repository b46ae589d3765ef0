"""The audio that the client is assumed to play, on the clock of the event loop."""

from __future__ import annotations

_KEPT_S = 4.0
"""Longer than any delay between playing and hearing that is looked for."""


class PlayedAudio:
    """The audio of a session's answers by the time at which it is played.

    Each piece is played when it was sent, or after the piece before it: a client that buffers more
    plays everything later by the same time, which is part of the delay of the echo.

    Args:
        sample_rate_hz: Samples per second.

    Attributes:
        sample_rate_hz: Samples per second.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._pcm = bytearray()
        self._start = 0
        self._held: bytes | None = None

    def play(self, pcm: bytes, at_s: float) -> None:
        """Adds audio that was sent: mono int16 samples, little-endian."""
        if self._held is not None:
            self._held += pcm
            return
        sample = round(at_s * self.sample_rate_hz)
        self._forget(sample)
        gap = sample - self._end
        if gap > 0:
            if self._pcm and gap < _KEPT_S * self.sample_rate_hz:
                self._pcm += bytes(2 * gap)
            else:
                self._pcm.clear()
                self._start = sample
        self._pcm += pcm

    def hold(self, at_s: float) -> None:
        """Records that the client pauses."""
        if self._held is None:
            self._held = self._cut(at_s)

    def go_on(self, at_s: float) -> None:
        """Records that the client plays on where it paused."""
        if self._held is not None:
            held, self._held = self._held, None
            self.play(held, at_s)

    def stop(self, at_s: float) -> None:
        """Records that the client drops what it has not played."""
        self._held = None
        self._cut(at_s)

    def until(self) -> float:
        """Returns when the last audio has been played, seconds; -inf: nothing was played."""
        return self._end / self.sample_rate_hz if self._pcm else float("-inf")

    def read(self, from_s: float, count: int) -> bytes:
        """Returns the samples that are played from a time on; silence where there are none."""
        first = round(from_s * self.sample_rate_hz)
        before = min(count, max(0, self._start - first))
        place = max(0, first - self._start)
        pcm = bytes(2 * before) + self._pcm[2 * place : 2 * (place + count - before)]
        return pcm + bytes(2 * count - len(pcm))

    @property
    def _end(self) -> int:
        return self._start + len(self._pcm) // 2

    def _cut(self, at_s: float) -> bytes:
        place = max(0, round(at_s * self.sample_rate_hz) - self._start)
        rest = bytes(self._pcm[2 * place :])
        del self._pcm[2 * place :]
        return rest

    def _forget(self, now: int) -> None:
        surplus = min(len(self._pcm) // 2, now - self._start - round(_KEPT_S * self.sample_rate_hz))
        if surplus > self.sample_rate_hz:  # not for each piece
            del self._pcm[: 2 * surplus]
            self._start += surplus
