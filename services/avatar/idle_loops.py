"""Coded idle loops: made once for each avatar and format, then only copied."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from services.avatar.encoder import CodedFrame, H264Encoder
from services.avatar.engine import AvatarEngine, VideoSpec
from services.runtime.compute import Compute

_MAX_LOOPS = 8

_Key = tuple[str, VideoSpec]


class IdleLoops:
    """The loops that have been asked for last."""

    def __init__(self, engine: AvatarEngine, compute: Compute, *, preset: str) -> None:
        self._engine = engine
        self._compute = compute
        self._preset = preset
        self._loops: OrderedDict[_Key, list[CodedFrame]] = OrderedDict()
        self._making = asyncio.Lock()

    async def get(self, avatar: str, video: VideoSpec) -> list[CodedFrame]:
        """Returns the frames of a loop, the first of them a key frame.

        Callers that want the same new loop at the same time wait for one making. One loop is made
        at a time, so that strange formats cannot take the threads from those who speak.
        """
        key = (avatar, video)
        if key not in self._loops:
            async with self._making:
                if key not in self._loops:
                    self._loops[key] = await self._compute.run(self._make, avatar, video)
        frames = self._loops[key]
        self._loops.move_to_end(key)
        while len(self._loops) > _MAX_LOOPS:
            self._loops.popitem(last=False)
        return frames

    def _make(self, avatar: str, video: VideoSpec) -> list[CodedFrame]:
        encoder = H264Encoder(video, preset=self._preset)
        return [
            encoder.encode(picture)
            for picture in self._engine.idle_loop(avatar=avatar, video=video)
        ]
