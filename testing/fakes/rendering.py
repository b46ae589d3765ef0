"""Rendering of the scripted talking head."""

from __future__ import annotations

import anima.avatar.v1 as avatar
import anima.common.v1 as common
from testing.fakes.frames import FRAME_RATE_HZ, clip


class Renderer:
    """Cuts audio into media, whole frames each."""

    def __init__(self, config: avatar.RenderConfig, *, kept_ms: int = 0) -> None:
        self.sent = 0
        self.frames = 0
        self.sequence = 0
        self._config = config
        self._frame_samples = config.sample_rate_hz // FRAME_RATE_HZ
        self._pcm = b""
        self._kept_bytes = 2 * kept_ms * config.sample_rate_hz // 1000

    def add(self, pcm: bytes, *, last: bool) -> list[common.MediaChunk]:
        self._pcm += pcm
        frame_bytes = self._frame_samples * 2
        if last and len(self._pcm) % frame_bytes:
            self._pcm += bytes(frame_bytes - len(self._pcm) % frame_bytes)
        media = []
        kept = 0 if last else self._kept_bytes
        while len(self._pcm) - kept >= (size := self._size(last)) and size:
            media.append(self._cut(size))
        return media

    def _size(self, last: bool) -> int:
        wanted = self._frame_samples * 2 * (1 if self.sequence == 0 else 3)
        return min(wanted, len(self._pcm)) if last else wanted

    def _cut(self, size: int) -> common.MediaChunk:
        piece, self._pcm = self._pcm[:size], self._pcm[size:]
        start = self.sent
        pictures = []
        for offset in range(0, size // 2, self._frame_samples):
            key, data = clip()[self.frames % len(clip())]
            self.frames += 1
            pictures.append(
                common.VideoFrame(
                    start_sample=start + offset, frame_number=self.frames, key_frame=key, data=data
                )
            )
        self.sent += size // 2
        self.sequence += 1
        header = common.ChunkHeader(
            turn_id=self._config.turn_id, epoch=self._config.epoch, sequence=self.sequence
        )
        audio = common.AudioChunk(
            header=header,
            start_sample=start,
            sample_rate_hz=self._config.sample_rate_hz,
            pcm=piece,
        )
        return common.MediaChunk(header=header, audio=audio, frames=pictures)
