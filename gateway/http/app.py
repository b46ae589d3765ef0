"""The HTTP edge of the gateway: the REST API and the page."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from gateway.http.ask.answer import NotUnderstood, Reply
from gateway.http.ask.asking import ask
from gateway.http.ask.media_files import to_mp4, to_wav
from gateway.http.ask.recordings import Recordings
from gateway.http.ask.reply import to_json
from gateway.http.ask.request import AskRequest, read_ask
from gateway.http.bodies import PacedBodies
from gateway.http.connection.departure import while_connected
from gateway.http.guard import HttpGuard
from gateway.http.headers import SecurityHeaders
from gateway.http.problems import Problem, problem_of
from gateway.http.routes import health, openapi
from gateway.http.routes.idle_loops import idle_loop_routes
from gateway.http.routes.page_sessions import PageSessions, page_session_routes
from gateway.page import routes as page
from gateway.realtime.limits import EdgeLimits
from gateway.stages.mesh import Mesh
from services.runtime.calls.admission import Admission
from services.runtime.errors import AnimaError
from services.runtime.identity.caller import Role, caller
from services.runtime.limits.callers import counted_as
from services.runtime.observing.logs import get_logger
from services.runtime.process.shared import SharedWork

MP4, WAV, JSON = "video/mp4", "audio/wav", "application/json"
_FORMATS = {"mp4": MP4, "wav": WAV, "json": JSON}
_DESCRIBED_FOR_S: Final = 1.0
_MOST_DESCRIBED: Final = 64
_Caller = tuple[str, frozenset[Role], int]
_ALIASES = {"audio/x-wav": WAV, "audio/wave": WAV, "audio/*": WAV, "video/*": MP4, "*/*": JSON}
_MAX_UPLOADS = 8


def create_app(
    mesh: Mesh, *, limits: EdgeLimits | None = None, recordings: Recordings | None = None
) -> ASGIApp:
    """Builds the HTTP application.

    Args:
        mesh: The stages; must be entered while requests are served.
        limits: The bounds of one WebSocket connection; None: the defaults.
        recordings: Decodes recorded questions; None: one of its own.
    """
    rest = Rest(mesh, recordings or Recordings())
    sessions = PageSessions(mesh.verifier)
    routes: list[BaseRoute] = [
        *health.routes(mesh),
        Route("/v1/ask", rest.ask, methods=["POST"]),
        Route("/v1/mesh", rest.describe),
        *idle_loop_routes(mesh),
        *page_session_routes(sessions),
        *page.routes(mesh, verifier=sessions, limits=limits),
    ]
    app = Starlette(
        routes=openapi.with_description(routes),
        middleware=[
            Middleware(HttpGuard, settings=mesh.settings, verifier=sessions),
            Middleware(PacedBodies),
        ],
        exception_handlers={
            Problem: _on_problem,
            AnimaError: _on_anima_error,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_exception,
        },
    )
    # A redirect from /v1/memory/ to /v1/memory would turn a mistake in the id of one item into the
    # erasure of all of them: 307 keeps the method.
    app.router.redirect_slashes = False
    return SecurityHeaders(app)


class Rest:
    """The calls of the REST API.

    Args:
        mesh: The stages.
        recordings: Decodes recorded questions.
    """

    def __init__(self, mesh: Mesh, recordings: Recordings) -> None:
        self._mesh = mesh
        self._recordings = recordings
        self._uploads = Admission(_MAX_UPLOADS, of="recordings")
        self._described: OrderedDict[_Caller, tuple[float, bytes]] = OrderedDict()
        self._describing: SharedWork[_Caller, bytes] = SharedWork("describe mesh")

    async def describe(self, request: Request) -> Response:
        """Returns the response of `DescribeMesh` as JSON, which is kept for a second."""
        # Not every caller may see every avatar, and a new one can be chosen at once.
        key = (caller().key, caller().roles, self._mesh.catalogue.changes)
        made_s, body = self._described.get(key, (float("-inf"), b""))
        if _now_s() - made_s > _DESCRIBED_FOR_S:
            body = await self._describing.get(key, lambda: self._describe(key))
        return Response(body, media_type=JSON)

    async def _describe(self, key: _Caller) -> bytes:
        described = await self._mesh.describe()
        plain = MessageToDict(
            described,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        body = bytes(JSONResponse(plain).body)
        self._described[key] = (_now_s(), body)
        self._described.move_to_end(key)
        if len(self._described) > _MOST_DESCRIBED:
            self._described.popitem(last=False)
        return body

    async def ask(self, request: Request) -> Response:
        """Answers one question as MP4, as WAV, or as JSON with text, subtitles and stage times."""
        media_type = _wanted(request)
        asked = await self._read(request)
        # Video takes most of the time, so it is made only if the client asked for it.
        asked.config.audio_only = media_type != MP4
        asked.config.user_id = caller().user_of(asked.config.user_id)
        timeout_s = self._mesh.settings.ask_timeout_s
        reply = await while_connected(request, self._answer(asked, timeout_s))
        if media_type == JSON:
            return JSONResponse(to_json(reply))
        if media_type == WAV:
            wav = await asyncio.to_thread(
                to_wav, bytes(reply.pcm), sample_rate_hz=reply.sample_rate_hz
            )
            return Response(wav, media_type=WAV)
        return Response(await _film(reply), media_type=MP4)

    async def _read(self, request: Request) -> AskRequest:
        if not request.headers.get("content-type", "").startswith("multipart/"):
            return await read_ask(request, self._recordings)
        # Each may be a recording of 20 MB.
        with self._uploads.place(caller=counted_as(caller(), by_address=True)):
            return await read_ask(request, self._recordings)

    async def _answer(self, asked: AskRequest, timeout_s: float) -> Reply:
        try:
            return await ask(
                self._mesh,
                asked.config,
                asked.question,
                pictures=asked.pictures,
                timeout_s=timeout_s,
            )
        except NotUnderstood as error:
            raise Problem(422, f"audio: {error}") from None


async def _film(reply: Reply) -> bytes:
    if not reply.frames:
        text = reply.notices[-1].text if reply.notices else "the answer has no video"
        raise Problem(503, text, {"retry-after": "2"}, stage="avatar")
    return await asyncio.to_thread(
        to_mp4,
        reply.frames,
        frame_rate_hz=reply.frame_rate_hz,
        pcm=bytes(reply.pcm),
        sample_rate_hz=reply.sample_rate_hz,
    )


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _wanted(request: Request) -> str:
    if name := request.query_params.get("format"):
        if name not in _FORMATS:
            raise Problem(422, f"format: {name[:80]!r} is not one of mp4, wav, json")
        return _FORMATS[name]
    accepted = request.headers.get("accept", "*/*")
    for part in accepted.split(","):
        media_type = part.partition(";")[0].strip().lower()
        media_type = _ALIASES.get(media_type, media_type)
        if media_type in _FORMATS.values():
            return media_type
    raise Problem(406, f"accept: {accepted[:80]!r} includes none of {MP4}, {WAV}, {JSON}")


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101
    return error.to_response()


async def _on_anima_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnimaError)  # noqa: S101
    return problem_of(error).to_response()


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    text = error.detail
    if error.status_code == 404:
        text = f"{request.url.path[:80]} was not found"
    return Problem(error.status_code, text, error.headers).to_response()


async def _on_disconnect(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


async def _on_exception(request: Request, error: Exception) -> Response:
    get_logger().error("a request failed", path=request.url.path, exc_info=error)
    return Problem(500, "internal error").to_response()
