"""The routes of the page: its files, the WebSocket `/v1/realtime`, memory and portraits."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.http.connection.connections import authenticated
from gateway.http.routes.avatars import avatar_routes
from gateway.http.routes.memory import memory_routes
from gateway.realtime.client_events import ClientConfig
from gateway.realtime.connection import Connection
from gateway.realtime.ending import TRY_LATER, ConnectionEndError
from gateway.realtime.histories import Histories
from gateway.realtime.limits import EdgeLimits
from gateway.stages.mesh import Mesh
from gateway.webrtc.link import LiveMedia
from services.runtime.calls.admission import Admission, Holder
from services.runtime.errors import Busy, InvalidRequest
from services.runtime.identity.caller import caller
from services.runtime.identity.verifier import Verifier
from services.runtime.limits.callers import counted_as

STATIC = Path(__file__).parent / "static"
CONNECTIONS_PER_PLACE = 4
"""Open pages per place of the gateway: a page takes a place only while it converses."""
HISTORIES_PER_PLACE = 16
"""Conversations kept per place of the gateway, so that a page that reconnects can go on."""

PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'self'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    # The file names carry no version, so the browser must revalidate; an ETag answers with 304.
    "cache-control": "no-cache",
}
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def routes(mesh: Mesh, *, verifier: Verifier, limits: EdgeLimits | None = None) -> list[BaseRoute]:
    """Returns the routes of the page.

    Args:
        mesh: The stages, already entered.
        verifier: Checks the tokens of pages.
        limits: The limits of a client; None: the defaults.
    """
    edge = Edge(mesh, verifier, limits or EdgeLimits())
    return [
        WebSocketRoute("/v1/realtime", edge.converse),
        *memory_routes(mesh),
        *avatar_routes(mesh),
        Route("/", _page),
        Mount("/static", PageFiles(directory=STATIC)),
    ]


class Edge:
    """The WebSocket side of a gateway.

    Args:
        mesh: The stages.
        verifier: Checks the tokens of pages.
        limits: The limits of a client.
    """

    def __init__(self, mesh: Mesh, verifier: Verifier, limits: EdgeLimits) -> None:
        self._mesh = mesh
        self._verifier = verifier
        self._limits = limits
        self._live = LiveMedia(mesh)
        self._histories = Histories(most=mesh.settings.capacity * HISTORIES_PER_PLACE)
        self._pages = Admission(mesh.settings.capacity * CONNECTIONS_PER_PLACE, of="pages")

    async def converse(self, websocket: WebSocket) -> None:
        """Serves one client of `/v1/realtime`."""
        await websocket.accept(subprotocol=_subprotocol(websocket.headers))
        await Connection(
            websocket=websocket,
            mesh=self._mesh,
            verifier=self._verifier,
            limits=self._limits,
            live=self._live,
            histories=self._histories,
            config=_config_of(websocket),
            place=partial(self._place, websocket),
        ).serve()

    @contextmanager
    def _place(self, websocket: WebSocket, holder: Holder) -> Iterator[None]:
        """Takes a place for a client that has named its token."""
        with ExitStack() as held:
            try:
                caller_key = counted_as(caller(), by_address=True)
                place = held.enter_context(self._pages.place(caller=caller_key))
            except Busy as error:
                raise ConnectionEndError(TRY_LATER, error.message) from None
            place.holder = holder
            authenticated(websocket.scope)
            yield


class PageFiles(StaticFiles):
    """The files of the page, with their types and headers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one file."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(PAGE_HEADERS)
                # Python's guess depends on the machine's own table of types.
                if kind := _MEDIA_TYPES.get(Path(scope["path"]).suffix):
                    headers["content-type"] = kind
            await send(message)

        await super().__call__(scope, receive, send_with_headers)


async def _page(request: Request) -> Response:
    return FileResponse(
        STATIC / "index.html", media_type=_MEDIA_TYPES[".html"], headers=PAGE_HEADERS
    )


def _config_of(websocket: WebSocket) -> ClientConfig:
    """Reads `?model=`, by which clients of the OpenAI Realtime API choose the persona."""
    persona = websocket.query_params.get("model", "")
    try:
        return ClientConfig().updated({"anima": {"persona": persona}})
    except InvalidRequest:
        return ClientConfig()


def _subprotocol(headers: Headers) -> str | None:
    offered: Sequence[str] = headers.get("sec-websocket-protocol", "").split(",")
    return "realtime" if "realtime" in (name.strip() for name in offered) else None
