"""The session behind a connection, while one ends and the next one opens."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.realtime.client_events import ClientConfig
from gateway.realtime.conversation import Conversation, Deliver
from gateway.realtime.histories import Histories
from gateway.session.session import Session
from gateway.stages.catalogue import Catalogue
from gateway.stages.mesh import Mesh
from services.runtime.errors import Unavailable
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, run
from tests.unit.gateway.speaking import speech

CONFIG = ClientConfig(media="pcm")
NAMED = replace(CONFIG, session_id="a-name-that-nobody-guesses")
SIXTEEN = replace(CONFIG, input_rate_hz=16_000)


class Owner:
    """Runs a conversation, and keeps its events."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.failures: list[BaseException] = []
        self.delivered: asyncio.Queue[pb.ConverseResponse] = asyncio.Queue()
        self.histories = Histories(most=1)
        self.conversation = Conversation(
            mesh=mesh,
            histories=self.histories,
            begin=self._begin,
            failed=self.failures.append,
        )

    def _begin(self, config: ClientConfig, session: Session) -> Deliver:
        async def deliver(response: pb.ConverseResponse) -> None:
            self.delivered.put_nowait(response)

        return deliver


def hold_catalogue(mesh: Mesh) -> asyncio.Event:
    """Blocks the opening of sessions until the event is set."""
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


async def until(delivered: asyncio.Queue[pb.ConverseResponse], kind: str) -> None:
    async with asyncio.timeout(60):
        while (await delivered.get()).WhichOneof("event") != kind:
            pass


def test_answer_that_was_cut_is_kept_as_far_as_it_was_heard() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        owner = Owner(stages.mesh())
        session = await owner.conversation.session(NAMED)
        await session.text("Tell me all.")
        await until(owner.delivered, "media")
        await asyncio.sleep(3)
        await owner.conversation.close()
        question, answer = owner.histories.take(NAMED)
        assert question == ("user", "Tell me all.")
        assert answer[0] == "assistant"
        assert answer == session.history[1]
        assert "".join(LONG).startswith(answer[1])
        assert len(answer[1]) == pytest.approx(3 / 0.02, abs=20)

    run(main)


def test_answer_that_was_cut_within_an_apology_is_kept() -> None:
    """The words of an apology have no position in the text that the model wrote."""

    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.llm.end_after = ["It is half past nine."], 1
        owner = Owner(stages.mesh())
        session = await owner.conversation.session(NAMED)
        await session.text("What time is it?")
        await until(owner.delivered, "media")
        await asyncio.sleep(21 * 0.02 + 0.8)
        await owner.conversation.close()
        _, answer = owner.histories.take(NAMED)
        assert answer[1].startswith("It is half past nine.")

    run(main)


def test_text_that_was_read_is_kept() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.llm.interval_s = LONG, 0.5
        config = replace(NAMED, text_only=True)
        owner = Owner(stages.mesh())
        session = await owner.conversation.session(config)
        await session.text("Tell me all.")
        await until(owner.delivered, "text_delta")
        await asyncio.sleep(2)
        await owner.conversation.close()
        _, answer = owner.histories.take(config)
        assert answer[1].startswith(LONG[0])

    run(main)


@pytest.mark.parametrize("size", [1, 3, 641])
def test_samples_may_be_cut_between_two_messages(size: int) -> None:
    async def main(stages: DirectStages) -> None:
        owner = Owner(stages.mesh())
        sound = speech(0.1, 0.2, 0.6)[:8001].tobytes()
        for start in range(0, len(sound), size):
            await owner.conversation.audio(SIXTEEN, sound[start : start + size])
        await asyncio.sleep(2)
        assert b"".join(pcm for _, pcm in stages.asr.received) == sound
        await owner.conversation.close()

    run(main)


def test_half_a_sample_does_not_outlive_its_utterance() -> None:
    async def main(stages: DirectStages) -> None:
        owner = Owner(stages.mesh())
        await owner.conversation.audio(SIXTEEN, bytes(641))
        await owner.conversation.end_of_speech()
        await owner.conversation.audio(SIXTEEN, b"\x01\x02" * 320)
        await asyncio.sleep(2)
        received = b"".join(pcm for _, pcm in stages.asr.received)
        assert received == bytes(640) + b"\x01\x02" * 320
        await owner.conversation.close()

    run(main)


def test_a_place_that_was_given_away_is_no_failure_and_comes_back_with_the_next_input() -> None:
    async def main(stages: DirectStages) -> None:
        owner = Owner(stages.mesh(capacity=1))
        session = await owner.conversation.session(NAMED)
        await session.text("Hello.")
        await until(owner.delivered, "turn_ended")
        await asyncio.sleep(30)
        async with Session.open(owner.mesh, pb.ConverseConfig()):
            await asyncio.sleep(1)
            assert owner.conversation.open_session is None
        assert owner.failures == []
        again = await owner.conversation.session(NAMED)
        assert again is not session
        assert again.history[0] == ("user", "Hello.")

    run(main)
