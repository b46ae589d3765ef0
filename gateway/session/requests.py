"""Passes the requests of a client to its session, message by message."""

from __future__ import annotations

from collections.abc import AsyncIterator

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.session.session import Session


async def feed(session: Session, requests: AsyncIterator[pb.ConverseRequest]) -> None:
    """Passes requests to a session until they end; an invalid one ends it with an error."""
    try:
        async for request in requests:
            await _take(session, request)
    except Exception as error:
        session.fail(error)
        return
    # A cancelled call looks like this end too; then the events merely end after the answer.
    session.finish()


async def _take(session: Session, request: pb.ConverseRequest) -> None:
    kind = request.WhichOneof("message")
    if kind == "audio":
        await session.audio(request.audio)
    elif kind == "end_of_speech":
        await session.end_of_speech()
    elif kind == "text":
        await session.text(request.text.text)
    elif kind == "picture":
        await session.picture(request.picture.data, more=request.picture.more)
    elif kind == "stop":
        await session.stop()
    elif kind == "playback":
        session.playback(request.playback)
    elif kind == "idle":
        session.idle(request.idle.frame, request.idle.activity)
