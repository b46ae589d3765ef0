"""Places for conversations: who talks keeps one, who has left gives it back."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.session.session import IDLE_TIMEOUT_S, Session
from services.runtime.errors import Busy, DeadlineExceeded
from services.runtime.identity.caller import Identity, Mode, Role, acting_as
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, conversation, now, run
from tests.unit.gateway.speaking import MICROPHONE_RATE


async def read_to_the_end(session: Session) -> None:
    async for _ in session.events():
        pass


async def listen(session: Session, duration_s: int) -> None:
    """Sends silence, as a microphone does that is on."""
    pcm = bytes(2 * MICROPHONE_RATE * 2)
    for second in range(0, duration_s, 2):
        start = second * MICROPHONE_RATE
        await session.audio(
            common.AudioChunk(start_sample=start, sample_rate_hz=MICROPHONE_RATE, pcm=pcm)
        )
        await asyncio.sleep(2)


def person(name: str) -> Identity:
    return Identity(mode=Mode.IDENTITIES, user_id=name, roles=frozenset({Role.PERSON}))


def test_a_conversation_that_was_left_ends() -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh()
        async with Session.open(mesh, pb.ConverseConfig()) as session:
            with pytest.raises(DeadlineExceeded, match="for 600 s") as caught:
                await read_to_the_end(session)
        assert caught.value.reason == "IDLE"
        assert now() == pytest.approx(IDLE_TIMEOUT_S)
        assert mesh.places.active == 0

    run(main)


def test_a_conversation_whose_microphone_is_on_lives() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh()) as (session, said):
            await listen(session, 700)
            assert not said.ended.is_set()

    run(main)


def test_a_full_gateway_gives_an_idle_place_to_who_comes() -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh(capacity=2)
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(Session.open(mesh, pb.ConverseConfig()))
            await asyncio.sleep(1)
            await stack.enter_async_context(Session.open(mesh, pb.ConverseConfig()))
            await asyncio.sleep(18)
            with pytest.raises(Busy):
                await stack.enter_async_context(Session.open(mesh, pb.ConverseConfig()))
            await asyncio.sleep(2)
            await stack.enter_async_context(Session.open(mesh, pb.ConverseConfig()))
            assert mesh.places.active == 2
            with pytest.raises(DeadlineExceeded, match="another caller needs the place"):
                await read_to_the_end(first)
        assert mesh.places.active == 0

    run(main)


def test_who_talks_or_is_answered_keeps_its_place() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = [*LONG]
        mesh = stages.mesh(capacity=2)
        async with conversation(mesh) as (answered, said), conversation(mesh) as (heard, _):
            await answered.text("Tell me all.")
            async with asyncio.TaskGroup() as group:
                group.create_task(listen(heard, 40))
                await asyncio.sleep(30)
                with pytest.raises(Busy) as caught:
                    await AsyncExitStack().enter_async_context(
                        Session.open(mesh, pb.ConverseConfig())
                    )
            assert caught.value.reason == "CAPACITY"
            await said.until_kind("turn_ended")

    run(main)


def test_one_person_has_half_of_the_places() -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh(capacity=4)
        async with AsyncExitStack() as stack:
            with acting_as(person("ada")):
                for _ in range(2):
                    await stack.enter_async_context(Session.open(mesh, pb.ConverseConfig()))
                with pytest.raises(Busy) as caught:
                    await stack.enter_async_context(Session.open(mesh, pb.ConverseConfig()))
            assert caught.value.reason == "CALLER_CAPACITY"
            with acting_as(person("bob")):
                await stack.enter_async_context(Session.open(mesh, pb.ConverseConfig()))

    run(main)


def test_who_has_used_its_speech_or_its_questions_waits() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = [*LONG]
        mesh = stages.mesh(requests_per_minute=2, speech_minutes_per_hour=0.4)
        with acting_as(person("ada")):
            async with conversation(mesh, pb.ConverseConfig(text_only=True)) as (session, _):
                for _ in range(2):
                    await session.text("Hello.")
                with pytest.raises(Busy, match="2 requests a minute"):
                    await session.text("Hello.")
            await asyncio.sleep(60)
            async with conversation(mesh, pb.ConverseConfig(audio_only=True)) as (session, said):
                await session.text("Tell me all.")
                ended = await said.until_kind("turn_ended")
                assert ended.sample_count > 24 * 24_000
                with pytest.raises(Busy, match="24 seconds of speech an hour") as caught:
                    await session.text("Hello.")
                assert caught.value.retry_after_ms
                with pytest.raises(Busy, match="24 seconds of speech an hour"):
                    await listen(session, 2)
        with acting_as(person("bob")):
            async with conversation(mesh) as (session, said):
                await session.text("Hello.")
                await said.until_kind("turn_ended")

    run(main)
