"""One guard for HTTP requests and WebSocket handshakes: Host, Origin and token.

Any page that is open in a browser can send requests to loopback. The Origin check rejects pages of
other sites; the Host check rejects a name that an attacker has pointed at 127.0.0.1 (DNS
rebinding). A GET of an `<img>` or `<video>` carries no Origin: `Sec-Fetch-Site` rejects it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.connection.connections import authenticated
from gateway.http.permissions import permission_for
from gateway.http.problems import Problem, problem_of
from gateway.http.strangers import Strangers
from gateway.settings import GatewaySettings
from services.runtime.config.settings import split_address
from services.runtime.errors import AnimaError, Busy, Unauthenticated
from services.runtime.identity.authorisation import Permission
from services.runtime.identity.bearer import AUTHORIZATION
from services.runtime.identity.caller import Identity, Mode, acting_as
from services.runtime.identity.verifier import Verifier
from services.runtime.limits.callers import counted_as
from services.runtime.limits.rates import requests_a_minute
from services.runtime.observing.logs import get_logger

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_AUTHORITY = re.compile(
    r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<name>[^\s\[\]:/?#@\\]+))(?::(?P<port>\d*))?"
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_SCHEMES = {"ws": "http", "wss": "https"}
_ONCE = ("host", "origin", "sec-fetch-site", "authorization")
"""Headers on which a decision rests: two values of one could mean different things to others."""
_OWN_SITES = ("same-origin", "none")
_OWN_PATHS = ("/v1", "/static")


class _Authority(NamedTuple):
    """Host and port of a Host header or an origin; the port is empty if there is none."""

    name: str
    port: str


class HttpGuard:
    """Middleware that passes a request or a handshake on, or rejects it with a problem response.

    Without a token the Host must be a name of this gateway. With a token, HTTP requests under
    `/v1/` must carry it; the files of the page contain no secret. A WebSocket may also send it as
    its first message, because browsers cannot set headers there: `Connection` checks it.

    Args:
        app: The application behind the guard.
        settings: The settings of the gateway.
        verifier: Checks tokens.
    """

    def __init__(self, app: ASGIApp, *, settings: GatewaySettings, verifier: Verifier) -> None:
        self._app = app
        self._verifier = verifier
        self._requests = requests_a_minute(settings.requests_per_minute)
        self._strangers = Strangers()
        own_host, _ = split_address("http_listen", settings.http_listen)
        names = (own_host, *settings.http_hosts)
        self._names = _LOOPBACK_NAMES | {_configured_name(name) for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks a request or a handshake."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if (wait_s := self._strangers.wait_s(scope)) > 0:
            await asyncio.sleep(wait_s)
        headers = Headers(scope=scope)
        try:
            self._check_headers(scope, headers)
            identity = await self._identify(scope, headers)
            if scope["type"] == "http" and scope["path"].startswith("/v1/"):
                self._count(identity)
        except Problem as problem:
            get_logger().info("request refused", problem=problem.detail)
            await problem.to_response()(scope, receive, send)
            return
        if identity.roles:
            authenticated(scope)  # a WebSocket may name its token later
        with acting_as(identity):
            await self._app(scope, receive, send)

    def _count(self, identity: Identity) -> None:
        try:
            self._requests.take(counted_as(identity, by_address=True))
        except Busy as error:
            raise problem_of(error) from None

    def _check_headers(self, scope: Scope, headers: Headers) -> None:
        for name in _ONCE:
            if len(headers.getlist(name)) > 1:
                raise Problem(400, f"{name}: is given more than once")
        host = headers.get("host", "")
        authority = _authority_of(host)
        open_to_all = self._verifier.mode is Mode.OPEN
        if open_to_all and (authority is None or authority.name not in self._names):
            raise Problem(
                400,
                f"host: {host[:80]!r} is not a name of this gateway; see ANIMA_GATEWAY_HTTP_HOSTS",
            )
        _check_site(scope, headers, authority)

    async def _identify(self, scope: Scope, headers: Headers) -> Identity:
        peer = (scope.get("client") or ("",))[0]
        row = _row_before_token(scope)
        if row is not None and (row.before_token or scope["type"] == "websocket"):
            return Identity(mode=self._verifier.mode, roles=frozenset(), peer=peer)
        try:
            who = await self._verifier.of_header(headers.getlist(AUTHORIZATION), peer=peer)
            (row or permission_for(scope)).check(who)
            return who
        except AnimaError as error:
            problem = problem_of(error)
            if isinstance(error, Unauthenticated):
                problem.headers["www-authenticate"] = "Bearer"
            raise problem from None


def _row_before_token(scope: Scope) -> Permission | None:
    """Returns the row of a request; None: under /v1 what exists is said only after the token."""
    try:
        return permission_for(scope)
    except Problem:
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            return None
        raise


def _check_site(scope: Scope, headers: Headers, own: _Authority | None) -> None:
    """Rejects what a page of another site asks for; a browser without the headers passes."""
    origin = headers.get("origin")
    scheme: str = scope.get("scheme", "http")
    if origin is not None and not _is_own_origin(origin, own, _SCHEMES.get(scheme, scheme)):
        raise Problem(
            403,
            f"origin: {origin[:80]!r} is another site; a proxy for https must send "
            "X-Forwarded-Proto, and have its address in ANIMA_GATEWAY_HTTP_PROXIES",
        )
    site = headers.get("sec-fetch-site", "none").strip().lower()
    if site not in _OWN_SITES and scope["path"].startswith(_OWN_PATHS):
        raise Problem(403, f"sec-fetch-site: {site[:20]!r} means that another site asks for this")


def _authority_of(text: str) -> _Authority | None:
    """Returns "host", "host:port" or "[ipv6]:port" in canonical form; None: not an authority."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    port = (match["port"] or "").lstrip("0")
    if match["ipv6"] is None:
        return _Authority(match["name"].lower(), port)
    try:
        return _Authority(str(ipaddress.IPv6Address(match["ipv6"])), port)
    except ValueError:
        return None


def _configured_name(name: str) -> str:
    """Returns a name as `_authority_of` writes it; IPv6 addresses may come without brackets."""
    try:
        return str(ipaddress.IPv6Address(name))
    except ValueError:
        authority = _authority_of(name)
        return name if authority is None else authority.name


def _is_own_origin(origin: str, own: _Authority | None, own_scheme: str) -> bool:
    scheme, separator, rest = origin.partition("://")
    default_port = _DEFAULT_PORTS.get(scheme.lower())
    authority = _authority_of(rest)
    if not separator or default_port is None or authority is None or own is None:
        return False
    same_port = (authority.port or default_port) == (own.port or default_port)
    return scheme.lower() == own_scheme and authority.name == own.name and same_port
