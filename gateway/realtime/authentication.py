"""Who is at the other end of a WebSocket: its header says so, or its first event."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.realtime.client_events import ClientConfig, parse_event
from gateway.realtime.ending import TRY_LATER, UNAUTHORIZED, ConnectionEndError
from gateway.realtime.limits import EdgeLimits
from services.runtime.errors import InvalidRequest, PermissionDenied, Unauthenticated, Unavailable
from services.runtime.identity.authorisation import ROUTES
from services.runtime.identity.bearer import AUTHORIZATION, token_missing
from services.runtime.identity.caller import Identity, caller
from services.runtime.identity.verifier import Verifier


async def authenticate(websocket: WebSocket, verifier: Verifier, limits: EdgeLimits) -> Identity:
    """Returns who has opened a WebSocket.

    A browser cannot set headers, so the token may come in a first event `anima.authenticate`.

    Args:
        websocket: The WebSocket, already accepted.
        verifier: Checks tokens.
        limits: How long the first event may take, and its size.

    Raises:
        ConnectionEndError: The token is missing, is not accepted, or its owner may not converse; or
            the keys that check tokens are not at hand.
        WebSocketDisconnect: The client has left.
    """
    try:
        who = await _identify(websocket, verifier, limits)
        ROUTES["WS /v1/realtime"].check(who)
    except (Unauthenticated, PermissionDenied) as error:
        raise ConnectionEndError(UNAUTHORIZED, error.message) from None
    except Unavailable as error:
        raise ConnectionEndError(TRY_LATER, error.message) from None
    return who


def of_caller(config: ClientConfig) -> ClientConfig:
    """Returns a config whose user is that of the caller's token, if it has a user.

    Raises:
        PermissionDenied: The config names another user.
    """
    user_id = caller().user_of(config.user_id, field="session.anima.user_id")
    return replace(config, user_id=user_id)


async def _identify(websocket: WebSocket, verifier: Verifier, limits: EdgeLimits) -> Identity:
    peer = (websocket.scope.get("client") or ("",))[0]
    values = websocket.headers.getlist(AUTHORIZATION)
    try:
        return await verifier.of_header(values, peer=peer)
    except Unauthenticated:
        if len(values) > 1:
            raise
        # The header may be meant for a proxy in front.
    try:
        async with asyncio.timeout(limits.authenticate_timeout_s):
            first = parse_event(await _text(websocket, limits.max_event_bytes))
    except (TimeoutError, InvalidRequest):
        first = {}
    if first.get("type") != "anima.authenticate":
        raise token_missing()
    return await verifier.of_token(first.get("token"), peer=peer)


async def _text(websocket: WebSocket, max_chars: int) -> str:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    return (message.get("text") or "")[:max_chars]
