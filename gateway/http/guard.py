"""Who may use the HTTP edge: the token, the names in Host, and no other site's pages.

A browser sends whatever page is open to loopback too: a page of another site is refused by its
Origin, and a name that an attacker lets point to 127.0.0.1 (DNS rebinding) by its Host. WebSockets
check the same at the page's edge, where the token may also come in the first message, since
browsers cannot set headers there.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.problems import Problem, problem_of
from gateway.settings import GatewaySettings
from services.runtime.auth import AUTHORIZATION, TokenAuth
from services.runtime.errors import Unauthenticated
from services.runtime.settings import split_address

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class HttpGuard:
    """Middleware that lets a request through or answers with the problem.

    With a token, everything under `/v1/` demands it; the page's files, which hold no secret, do
    not. Without a token the Host must be a name of this gateway.

    Args:
        app: What is guarded.
        settings: The settings of the gateway.
    """

    def __init__(self, app: ASGIApp, *, settings: GatewaySettings) -> None:
        self._app = app
        self._token = settings.token
        self._auth = TokenAuth(settings.token)
        own_host, _ = split_address("http_listen", settings.http_listen)
        self._names = (
            _LOOPBACK_NAMES | {own_host.lower()} | {n.lower() for n in settings.http_hosts}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks a request and passes it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope["path"], Headers(scope=scope))
        except Problem as problem:
            await problem.to_response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, path: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if self._token is None and _name_of(host) not in self._names:
            raise Problem(
                400,
                f"host: {host[:80]!r} is not a name of this gateway; see ANIMA_GATEWAY_HTTP_HOSTS",
            )
        origin = headers.get("origin")
        if origin is not None and _netloc_of(origin) != host.lower():
            raise Problem(403, f"origin: {origin[:80]!r} is another site")
        if path.startswith("/v1/"):
            self._check_token(headers)

    def _check_token(self, headers: Headers) -> None:
        try:
            given = headers.get(AUTHORIZATION)
            self._auth.check({} if given is None else {AUTHORIZATION: given})
        except Unauthenticated as error:
            problem = problem_of(error)
            problem.headers["www-authenticate"] = "Bearer"
            raise problem from None


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _netloc_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
