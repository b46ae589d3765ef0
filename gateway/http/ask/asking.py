"""Asks one question in a session of its own and collects the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.http.ask.answer import Reply, check_reply, one_question, question_requests
from gateway.session.requests import feed
from gateway.session.session import Session
from gateway.stages.mesh import Mesh
from services.runtime.errors import DeadlineExceeded
from services.runtime.process.tasks import beside


async def ask(
    mesh: Mesh,
    config: pb.ConverseConfig,
    question: str | NDArray[np.int16],
    *,
    pictures: Sequence[bytes] = (),
    timeout_s: float,
) -> Reply:
    """Asks one question and collects the answer as fast as it is made.

    Args:
        mesh: The stages.
        config: The config of the conversation; pacing, endpointing and input rate are set here.
        question: Text, or mono samples at 16,000 Hz.
        pictures: Files that are shown with it: JPEG, PNG or WebP.
        timeout_s: How long the whole answer may take.

    Raises:
        NotUnderstood: No question was recognised in the samples.
        AnimaError: A field is invalid, the gateway is full, or a stage failed.
    """
    reply = Reply()
    try:
        async with (
            asyncio.timeout(timeout_s),
            Session.open(mesh, one_question(config)) as session,
            beside(feed(session, question_requests(question, pictures)), name="ask-feed"),
        ):
            async for event in session.events():
                reply.add(event)
    except TimeoutError:
        raise DeadlineExceeded(f"the answer was not ready within {timeout_s:g} s") from None
    check_reply(reply)
    return reply
