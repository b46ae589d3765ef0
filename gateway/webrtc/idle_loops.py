"""A cache of recently shown loops, fetched once for each version of an avatar."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from anima.avatar.v1.avatar_pb2 import Activity, GetIdleLoopRequest
from anima.common.v1.common_pb2 import VideoFormat
from gateway.stages.mesh import Mesh
from gateway.webrtc.idle_loop import IdleLoop
from gateway.webrtc.recoding import CodedPicture
from services.runtime.calls.streams import received
from services.runtime.errors import InternalError

_FETCH_TIMEOUT_S = 30.0
_MAX_LOOPS = 24

_Key = tuple[str, str, Activity.ValueType]


class IdleLoops:
    """The recently shown loops.

    Args:
        mesh: The stages.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._loops: OrderedDict[_Key, IdleLoop] = OrderedDict()
        # A loop that a page waits for must not wait for a look that is only being prepared.
        self._fetching = {activity: asyncio.Lock() for activity in Activity.values()}

    async def get(
        self,
        avatar: str,
        *,
        version: str = "",
        activity: Activity.ValueType = Activity.ACTIVITY_IDLE,
    ) -> IdleLoop:
        """Returns a loop of an avatar.

        Args:
            avatar: The name of the avatar.
            version: The version in the talking head's list; a loop of another version is not
                returned.
            activity: The activity of the face.

        Raises:
            AnimaError: The talking head does not return it.
        """
        key = (avatar, version, activity)
        async with self._fetching[activity]:
            if key not in self._loops:
                self._loops[key] = await self._fetch(avatar, activity)
            loop = self._loops[key]
            self._loops.move_to_end(key)
            if len(self._loops) > _MAX_LOOPS:
                self._loops.popitem(last=False)
            return loop

    async def _fetch(self, avatar: str, activity: Activity.ValueType) -> IdleLoop:
        pictures: list[CodedPicture] = []
        video = VideoFormat()
        request = GetIdleLoopRequest(avatar=avatar, activity=activity)
        call = self._mesh.avatar.GetIdleLoop(request, timeout=_FETCH_TIMEOUT_S)
        async for part in received("avatar", call):
            video.MergeFrom(part.video)
            pictures += (CodedPicture(f.key_frame, f.data) for f in part.frames)
        if not pictures or not pictures[0].key_frame or not video.frame_rate_hz:
            raise InternalError("avatar: the idle loop does not start with a key frame")
        return IdleLoop(
            pictures=tuple(pictures), frame_rate_hz=video.frame_rate_hz, activity=activity
        )
