"""The session behind a connection, while one ends and the next one opens."""

from __future__ import annotations

import asyncio

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.realtime.client_events import ClientConfig
from gateway.realtime.conversation import Conversation, Deliver
from gateway.realtime.histories import Histories
from gateway.session.session import Session
from gateway.stages.catalogue import Catalogue
from gateway.stages.mesh import Mesh
from services.runtime.errors import Unavailable
from tests.fakes.direct import DirectStages
from tests.unit.gateway.conversing import run

CONFIG = ClientConfig(media="pcm")


class Owner:
    """Holds a conversation, and keeps what it says."""

    def __init__(self, mesh: Mesh) -> None:
        self.failures: list[BaseException] = []
        self.conversation = Conversation(
            mesh=mesh,
            histories=Histories(most=1),
            begin=self._begin,
            failed=self.failures.append,
        )

    def _begin(self, config: ClientConfig, session: Session) -> Deliver:
        async def deliver(response: pb.ConverseResponse) -> None:
            return

        return deliver


def hold_catalogue(mesh: Mesh) -> asyncio.Event:
    """Lets no session open until the event is set."""
    go = asyncio.Event()
    really = mesh.catalogue.read

    async def read() -> Catalogue:
        await go.wait()
        return await really()

    mesh.catalogue.read = read  # type: ignore[method-assign]
    return go


def test_last_session_is_not_reached_while_the_next_one_opens() -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh()
        owner = Owner(mesh)
        conversation = owner.conversation
        first = await conversation.session(CONFIG)
        first.fail(Unavailable("over"))
        await asyncio.sleep(1)
        go = hold_catalogue(mesh)
        opening = asyncio.create_task(conversation.session(CONFIG))
        await asyncio.sleep(1)
        reached = conversation.open_session
        go.set()
        second = await opening
        assert reached is None
        assert conversation.open_session is second is not first
        await conversation.close()

    run(main)


def test_session_that_nobody_waits_for_any_more_is_closed_again() -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh()
        owner = Owner(mesh)
        go = hold_catalogue(mesh)
        opening = asyncio.create_task(owner.conversation.session(CONFIG))
        await asyncio.sleep(1)
        opening.cancel()
        go.set()
        await asyncio.sleep(1)
        assert mesh.places.active == 0
        assert owner.failures == []

    run(main)
