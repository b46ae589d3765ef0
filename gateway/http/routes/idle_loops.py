"""`GET /v1/avatars/{name}/idle.mp4`: the loop of a silent face, for a page without WebRTC.

An `<img>` of any page can ask for it, and a loop in a new format takes seconds to encode. So it
exists in few formats, is made once for all who wait for it, and not at all when they have gone.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from anima.avatar.v1 import avatar_pb2 as avatar
from anima.common.v1 import common_pb2 as common
from gateway.http.ask.media_files import to_mp4
from gateway.http.connection.departure import while_connected
from gateway.http.problems import Problem
from gateway.stages.mesh import Mesh
from services.runtime.calls.streams import received
from services.runtime.errors import InternalError, NotFound
from services.runtime.identity.caller import Role, caller
from services.runtime.process.shared import SharedWork

SIZES_PX: Final = (0, 256, 512)
"""The sides of a square; 0: the avatar's own size."""
FRAME_RATES_HZ: Final = (0, 25)
"""The rates; 0: the avatar's own."""
_ACTIVITIES: Final = {
    "idle": avatar.ACTIVITY_IDLE,
    "listening": avatar.ACTIVITY_LISTENING,
    "thinking": avatar.ACTIVITY_THINKING,
}
_TIMEOUT_S: Final = 30.0


def idle_loop_routes(mesh: Mesh) -> list[BaseRoute]:
    """Returns the route.

    Args:
        mesh: The stages, already entered.
    """
    films = _Films(mesh)
    return [Route("/v1/avatars/{name}/idle.mp4", films.get, methods=["GET"])]


class _Films:
    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._making: SharedWork[tuple[str, frozenset[Role], bytes], bytes] = SharedWork(
            "idle film"
        )

    async def get(self, request: Request) -> Response:
        """Returns the idle loop of an avatar as an MP4 file without audio, to be repeated."""
        name = await self._visible(request.path_params["name"])
        wanted = avatar.GetIdleLoopRequest(
            avatar=name, video=_video(request), activity=_activity(request)
        )
        # Not every caller may see every avatar, and the call carries who asks.
        key = (caller().key, caller().roles, wanted.SerializeToString(deterministic=True))
        film = await while_connected(request, self._making.get(key, lambda: self._make(wanted)))
        return Response(
            film, media_type="video/mp4", headers={"cache-control": "private, max-age=60"}
        )

    async def _visible(self, name: str) -> str:
        """Returns the name of an avatar that is not another user's."""
        who = caller()
        if who.manages:
            return name
        catalogue = (await self._mesh.catalogue.read()).seen_by(who)
        if name not in (each.name for each in catalogue.avatars):
            raise NotFound(f"avatar: {name[:64]!r} is not known")
        return name

    async def _make(self, wanted: avatar.GetIdleLoopRequest) -> bytes:
        frames: list[common.VideoFrame] = []
        rate_hz = 0
        call = self._mesh.avatar.GetIdleLoop(wanted, timeout=_TIMEOUT_S)
        try:
            async for part in received("avatar", call):
                rate_hz = rate_hz or part.video.frame_rate_hz
                frames.extend(part.frames)
        finally:
            call.cancel()
        if not frames or not rate_hz:
            raise InternalError("avatar: the idle loop is empty")
        return await asyncio.to_thread(
            to_mp4, frames, frame_rate_hz=rate_hz, pcm=b"", sample_rate_hz=0
        )


def _video(request: Request) -> common.VideoFormat:
    width_px = _number(request, "width_px", SIZES_PX)
    height_px = _number(request, "height_px", SIZES_PX)
    if width_px != height_px:
        raise Problem(422, f"height_px: {height_px} is not the same as width_px, {width_px}")
    return common.VideoFormat(
        width_px=width_px,
        height_px=height_px,
        frame_rate_hz=_number(request, "frame_rate_hz", FRAME_RATES_HZ),
    )


def _number(request: Request, name: str, offered: tuple[int, ...]) -> int:
    value = request.query_params.get(name, "0")
    numbers = {str(number): number for number in offered}
    if value not in numbers:
        raise Problem(422, f"{name}: {value[:20]!r} is not one of {', '.join(numbers)}")
    return numbers[value]


def _activity(request: Request) -> avatar.Activity.ValueType:
    name = request.query_params.get("activity", "idle")
    if name not in _ACTIVITIES:
        raise Problem(422, f"activity: {name[:20]!r} is not one of {', '.join(_ACTIVITIES)}")
    return _ACTIVITIES[name]
