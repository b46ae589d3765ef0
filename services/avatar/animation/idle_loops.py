"""Encoded idle loops: produced once per avatar and format, then only copied."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from services.avatar.engine import Activity, AvatarEngine, AvatarInfo, Frame, VideoSpec
from services.avatar.video.ai_mark import open_encoder
from services.avatar.video.encoder import CodedFrame, VideoEncoder
from services.runtime.process.compute import Compute
from services.runtime.process.shared import SharedWork

_MAX_LOOPS = 24
_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class _Key:
    avatar: AvatarInfo
    video: VideoSpec
    activity: Activity
    ai_mark: bool


class IdleLoops:
    """A cache of the most recently used loops.

    Args:
        engine: Draws them.
        coding: Encodes them.
        preset: The preset of the encoder.
    """

    def __init__(self, engine: AvatarEngine, coding: Compute, *, preset: str) -> None:
        self._engine = engine
        self._coding = coding
        self._preset = preset
        self._loops: OrderedDict[_Key, list[CodedFrame]] = OrderedDict()
        self._bytes = 0
        self._shared: SharedWork[_Key, list[CodedFrame]] = SharedWork("idle loop")
        self._making = asyncio.Lock()

    async def get(
        self,
        avatar: AvatarInfo,
        video: VideoSpec,
        *,
        activity: Activity = Activity.IDLE,
        ai_mark: bool = False,
    ) -> list[CodedFrame]:
        """Returns the frames of a loop, beginning with a key frame.

        Concurrent callers for the same new loop share one production, which ends when they are all
        cancelled. Loops are produced one at a time, so that unusual formats cannot take the threads
        away from speaking faces.
        """
        key = _Key(avatar=avatar, video=video, activity=activity, ai_mark=ai_mark)
        if key in self._loops:
            self._loops.move_to_end(key)
            return self._loops[key]
        return await self._shared.get(key, lambda: self._make(key))

    async def close(self) -> None:
        """Ends the production of loops."""
        await self._shared.close()

    async def _make(self, key: _Key) -> list[CodedFrame]:
        async with self._making:
            frames = await self._coded(key)
        self._loops[key] = frames
        self._bytes += _size_bytes(frames)
        while len(self._loops) > 1 and (len(self._loops) > _MAX_LOOPS or self._bytes > _MAX_BYTES):
            _, oldest = self._loops.popitem(last=False)
            self._bytes -= _size_bytes(oldest)
        return frames

    async def _coded(self, key: _Key) -> list[CodedFrame]:
        encoder = open_encoder(key.video, preset=self._preset, ai_mark=key.ai_mark)
        coded: list[CodedFrame] = []
        loop = self._engine.idle_loop(
            avatar=key.avatar.name, video=key.video, activity=key.activity
        )
        async with aclosing(loop) as windows:
            async for window in windows:
                coded += await self._coding.run(_encode, encoder, window)
        return coded


def _size_bytes(frames: Sequence[CodedFrame]) -> int:
    return sum(len(frame.data) for frame in frames)


def _encode(encoder: VideoEncoder, window: Sequence[Frame]) -> list[CodedFrame]:
    return [encoder.encode(frame) for frame in window]
