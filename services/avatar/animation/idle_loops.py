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
from services.runtime.compute import Compute

_MAX_LOOPS = 24


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

        Concurrent callers for the same new loop share one production. Loops are produced one at a
        time, so that unusual formats cannot take the threads away from speaking faces.
        """
        key = _Key(avatar=avatar, video=video, activity=activity, ai_mark=ai_mark)
        if key not in self._loops:
            async with self._making:
                if key not in self._loops:
                    self._loops[key] = await self._make(key)
        frames = self._loops[key]
        self._loops.move_to_end(key)
        while len(self._loops) > _MAX_LOOPS:
            self._loops.popitem(last=False)
        return frames

    async def _make(self, key: _Key) -> list[CodedFrame]:
        encoder = open_encoder(key.video, preset=self._preset, ai_mark=key.ai_mark)
        coded: list[CodedFrame] = []
        loop = self._engine.idle_loop(
            avatar=key.avatar.name, video=key.video, activity=key.activity
        )
        async with aclosing(loop) as windows:
            async for window in windows:
                coded += await self._coding.run(_encode, encoder, window)
        return coded


def _encode(encoder: VideoEncoder, window: Sequence[Frame]) -> list[CodedFrame]:
    return [encoder.encode(frame) for frame in window]
