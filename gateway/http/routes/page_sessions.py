"""A page that another site opens for a person: `POST /v1/page-codes` and `/v1/page-sessions`.

The site's server sends the person's token and gets a code for one use within a minute. It opens the
page with the code in the fragment of the address, which browsers send to nobody. The page exchanges
it for a session token of its own, so no token is ever in an address, a log or the history.

Codes and sessions are kept in memory: several gateways behind one address need the same one for a
person (sticky sessions), and a restart ends them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.http.problems import Problem
from services.runtime.errors import InvalidRequest, Unauthenticated
from services.runtime.identity.caller import Identity, Mode, Role, caller, check_user_id
from services.runtime.identity.verifier import Verifier

CODE_LIFETIME_S: Final = 60.0
SESSION_LIFETIME_S: Final = 12 * 3600.0
_PREFIX: Final = "anima-page-"
_SECRET_BYTES: Final = 32
_MAX_CODES: Final = 4_096
_MAX_SESSIONS: Final = 16_384
_MAX_OF_ONE: Final = 64
_MAX_BODY_BYTES: Final = 4_096
_BODY_TIMEOUT_S: Final = 5.0
_NO_STORE: Final = {"cache-control": "no-store"}


class PageSessions(Verifier):
    """The verifier of HTTP and WebSocket: also accepts the tokens of page sessions.

    Args:
        verifier: Checks all other tokens.
        unix_s: The clock, s since 1970.
    """

    def __init__(self, verifier: Verifier, *, unix_s: Callable[[], float] = time.time) -> None:
        self.mode = verifier.mode
        self._verifier = verifier
        self._unix_s = unix_s
        self._codes = _Secrets(_MAX_CODES)
        self._sessions = _Secrets(_MAX_SESSIONS)

    async def of_header(self, values: Sequence[str], *, peer: str = "") -> Identity:
        """Returns the caller of a request."""
        if self.mode is Mode.OPEN:
            return await self._verifier.of_header(values, peer=peer)
        return await super().of_header(values, peer=peer)

    async def of_token(self, token: object, *, peer: str = "") -> Identity:
        """Returns the owner of a token."""
        if not isinstance(token, str) or not token.startswith(_PREFIX) or self.mode is Mode.OPEN:
            return await self._verifier.of_token(token, peer=peer)
        identity = self._sessions.find(token, self._unix_s())
        if identity is None:
            raise Unauthenticated(
                "authorization: the session of this page has ended; open it again",
                reason="TOKEN_EXPIRED",
            )
        return replace(identity, peer=peer)

    def new_code(self, who: Identity, user_id: str) -> str:
        """Returns a code with which a page becomes a person.

        Args:
            who: The caller.
            user_id: The person; for a caller with a token of its own that of the token.
        """
        person = replace(who, peer="")
        if who.mode is Mode.IDENTITIES:
            person = replace(person, user_id=user_id, roles=frozenset({Role.PERSON}))
        return self._codes.add(person, self._unix_s() + CODE_LIFETIME_S)

    def exchange(self, code: str) -> tuple[str, float]:
        """Returns the token of a new session and its end, s since 1970.

        Raises:
            Unauthenticated: The code is wrong, was used, or is too old.
        """
        now = self._unix_s()
        person = self._codes.take(code, now)
        if person is None:
            raise Unauthenticated(
                "code: it is wrong, was used, or is older than a minute; open the page again",
                reason="CODE_WRONG",
            )
        ends = min(now + SESSION_LIFETIME_S, person.expires_unix_s or float("inf"))
        token = self._sessions.add(replace(person, expires_unix_s=ends), ends)
        return token, ends


class _Secrets:
    """Random names of identities, each for a time; the oldest give way to new ones.

    Those of one identity give way to its own first, so that nobody ends the sessions of others.
    Only hashes are kept: a look-up then tells nothing by the time that it takes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()
        self._of: dict[str, deque[bytes]] = {}

    def add(self, identity: Identity, ends_unix_s: float) -> str:
        secret = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        digest = _hash(secret)
        self._held[digest] = (identity, ends_unix_s)
        own = self._of.setdefault(identity.key, deque())
        own.append(digest)
        if len(own) > _MAX_OF_ONE:
            self._drop(own[0])
        elif len(self._held) > self._most:
            self._drop(next(iter(self._held)))
        return secret

    def find(self, secret: str, now_unix_s: float) -> Identity | None:
        digest = _hash(secret)
        identity, ends_unix_s = self._held.get(digest, (None, 0.0))
        if identity is not None and ends_unix_s <= now_unix_s:
            self._drop(digest)
            return None
        return identity

    def take(self, secret: str, now_unix_s: float) -> Identity | None:
        identity = self.find(secret, now_unix_s)
        if identity is not None:
            self._drop(_hash(secret))
        return identity

    def _drop(self, digest: bytes) -> None:
        identity, _ = self._held.pop(digest)
        own = self._of[identity.key]
        own.remove(digest)
        if not own:
            del self._of[identity.key]


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def page_session_routes(sessions: PageSessions) -> list[BaseRoute]:
    """Returns the routes.

    Args:
        sessions: The codes and sessions.
    """
    calls = _Calls(sessions)
    return [
        Route("/v1/page-codes", calls.new_code, methods=["POST"]),
        Route("/v1/page-sessions", calls.new_session, methods=["POST"]),
    ]


class _Calls:
    def __init__(self, sessions: PageSessions) -> None:
        self._sessions = sessions

    async def new_code(self, request: Request) -> Response:
        """Returns a code for the person of the token, or for the one that a service names."""
        who = caller()
        user_id = who.user_of(_text(await _body(request, may_be_empty=True), "user_id"))
        if who.mode is Mode.IDENTITIES:
            check_user_id("user_id", user_id)
        code = self._sessions.new_code(who, user_id)
        return JSONResponse(
            {"code": code, "expires_in_s": CODE_LIFETIME_S}, status_code=201, headers=_NO_STORE
        )

    async def new_session(self, request: Request) -> Response:
        """Exchanges a code for the token of a session."""
        code = _text(await _body(request), "code")
        if not code:
            raise InvalidRequest("code: is missing")
        token, ends_unix_s = self._sessions.exchange(code)
        return JSONResponse(
            {"token": token, "expires_unix_s": int(ends_unix_s)},
            status_code=201,
            headers=_NO_STORE,
        )


async def _body(request: Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    content = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            async for piece in request.stream():
                content += piece
                if len(content) > _MAX_BODY_BYTES:
                    raise Problem(413, f"the body is larger than {_MAX_BODY_BYTES} bytes")
    except TimeoutError:
        raise Problem(408, "the body did not arrive in time") from None
    if may_be_empty and not content:
        return {}
    try:
        given = json.loads(content)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Problem(400, "the body is not a JSON object")
    return given


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise InvalidRequest(f"{name}: must be a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{name}: is not valid Unicode") from None
    return value
