"""Interruption: every stage is notified, confirms or is cut off; no stale media follows."""

from __future__ import annotations

import asyncio

import anima.common.v1 as common
import anima.gateway.v1 as pb
from testing.fakes.mesh import FakeMesh
from tests.unit.gateway.conversing import conversation

LONG = ["Well, this is the first clause,", *[f" and this is part {n} of it." for n in range(80)]]


async def test_every_stage_confirms_a_stop() -> None:
    # However slow the machine is, a stage that confirms is not cut off before.
    async with FakeMesh() as fake, fake.mesh(stop_timeout_ms=10_000) as mesh:
        fake.llm.answer, fake.llm.interval_s = LONG, 0.05
        async with conversation(mesh) as (session, said):
            await session.text("Tell me.")
            await said.until_kind("media", 5)
            await session.stop()
            interrupted = await said.until_kind("turn_interrupted")
            stops = {stop.stage: stop for stop in interrupted.stages}
            assert stops.keys() == {"llm", "tts", "avatar"}
            assert all(stop.confirmed for stop in stops.values())
            assert all(stop.elapsed_us > 0 for stop in stops.values())
            assert [s.interrupts for s in (fake.llm, fake.tts, fake.avatar)] == [[1], [1], [1]]
            assert interrupted.header.epoch == 1
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_INTERRUPTED
            assert ended.text.startswith(interrupted.heard_text)


async def test_new_question_interrupts_and_nothing_old_follows() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        fake.llm.answer = LONG
        fake.llm.answers["Second?"] = ["Here is the second answer, quite short."]
        async with conversation(mesh) as (session, said):
            await session.text("First?")
            await said.until_kind("media", 4)
            await session.text("Second?")
            await said.until_kind("turn_ended", 2)
            events = [event for _, event in said.events]
            place = said.kinds().index("turn_interrupted")
            old = said.all("turn_started")[0].header.turn_id
            for event in events[place + 1 :]:
                kind = event.WhichOneof("event")
                if kind in ("media", "marks", "text_delta", "segment_started"):
                    assert getattr(event, kind).header.epoch == 1
                    assert getattr(event, kind).header.turn_id != old
            assert fake.llm.configs[1].epoch == 1
            assert fake.tts.configs[1].epoch == 1
            assert fake.avatar.configs[1].epoch == 1


async def test_stop_without_an_answer_does_nothing() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh, conversation(mesh) as (session, said):
        await session.stop()
        await session.text("Hello?")
        await said.until_kind("turn_ended")
        await session.stop()
        assert "turn_interrupted" not in said.kinds()


async def test_interrupt_before_the_first_media() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        fake.llm.answer = [asyncio.Event(), "never"]
        async with conversation(mesh) as (session, said):
            await session.text("Hello?")
            await said.until_kind("turn_started")
            await session.stop()
            interrupted = await said.until_kind("turn_interrupted")
            assert interrupted.heard_text == ""
            assert not said.all("media")


async def test_closing_the_client_reaches_every_stage() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        fake.llm.answer, fake.llm.interval_s = LONG, 0.05
        async with conversation(mesh) as (session, said):
            await session.text("Tell me.")
            await said.until_kind("media", 3)
        assert mesh.places.active == 0

        async with asyncio.timeout(90):
            for stage in (fake.llm, fake.tts, fake.avatar):
                while stage.open_streams:
                    await stage.stream_ended.wait()


async def test_interrupting_again_and_again() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        fake.llm.answer = LONG
        async with conversation(mesh, pb.ConverseConfig(user_id="eve")) as (session, said):
            for number in range(10):
                await session.text(f"Question {number}?")
                if number % 2:
                    await said.until_kind("media", len(said.all("media")) + 1)
            await session.stop()
            await said.until_kind("turn_ended", 10)
            assert [i.header.epoch for i in said.all("turn_interrupted")] == list(range(1, 11))
            assert len(said.all("turn_started")) == 10


async def test_stage_that_has_just_finished_counts_as_stopped() -> None:
    """The whole answer is spoken long before it is played: the stream has ended but is not read."""
    async with FakeMesh() as fake, fake.mesh() as mesh:
        fake.llm.answer = ["This is one long sentence without a stop " + "and so on " * 20]
        async with conversation(mesh) as (session, said):
            await session.text("Tell me.")
            await said.until_kind("media", 12)
            async with asyncio.timeout(90):
                while fake.tts.open_streams:
                    await fake.tts.stream_ended.wait()
            await session.stop()
            interrupted = await said.until_kind("turn_interrupted")
            assert all(stop.confirmed for stop in interrupted.stages)
