"""A client that leaves at a bad moment: the question and the heard part are still remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from anima.memory.v1 import memory_pb2 as memory
from gateway.session.session import Session
from gateway.stages.mesh import Mesh
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, Transcript, conversation, run
from tests.unit.gateway.speaking import Speaker, speech

NAMED = pb.ConverseConfig(user_id="u")


async def remembered(stages: DirectStages) -> list[tuple[str, bool]]:
    """Returns each remembered question, and whether a part of its answer was heard."""
    await asyncio.sleep(1)
    found: list[tuple[str, bool]] = []
    while not stages.memory.remembered.empty():
        items = stages.memory.remembered.get_nowait().items
        speakers = [item.speaker for item in items]
        found.append((items[0].text, memory.SPEAKER_ASSISTANT in speakers))
    return found


async def left_running() -> list[str]:
    """Returns the names of the tasks that a session has left behind."""
    await asyncio.sleep(1)
    return [task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}]


@asynccontextmanager
async def answering(mesh: Mesh) -> AsyncIterator[tuple[Session, Transcript]]:
    """A conversation in the middle of a long answer."""
    async with conversation(mesh, NAMED) as (session, said):
        await session.text("Tell me all.")
        await said.until_kind("media", 20)
        yield session, said


@pytest.mark.parametrize("command", ["stop", "text"])
def test_client_that_leaves_while_an_interruption_is_confirmed(command: str) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.tts.deaf = LONG, True
        async with answering(stages.mesh()) as (session, said):
            work = session.stop() if command == "stop" else session.text("And this?")
            interrupting = asyncio.create_task(work)
            await asyncio.sleep(0.05)
            assert not said.all("turn_ended")
            interrupting.cancel()
            await asyncio.wait([interrupting])
        asked = [("Tell me all.", True)]
        if command == "text":
            asked.append(("And this?", False))
        assert await remembered(stages) == asked
        assert await left_running() == []

    run(main)


@pytest.mark.parametrize("partial", ["wh", "what about"])
def test_client_that_leaves_while_its_words_interrupt(partial: str) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.tts.deaf = LONG, True
        stages.asr.texts, stages.asr.partial = ["what about you"], partial
        spoken = speech(0.1, 0.8, 0.52) if partial == "wh" else speech(0.1, 0.06)
        async with answering(stages.mesh()) as (session, said):
            await Speaker(session).say(spoken)
            assert not said.all("turn_ended")
        asked = [("Tell me all.", True)]
        if partial == "wh":
            # The words had been recognised when the client left.
            asked.append(("what about you", False))
        assert await remembered(stages) == asked
        assert await left_running() == []

    run(main)


def test_client_that_leaves_while_the_answer_is_held() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with answering(stages.mesh()) as (session, said):
            await Speaker(session).say(speech(0.1, 0.4))
            assert said.kinds()[-1] in ("turn_paused", "user_transcript")
        assert await remembered(stages) == [("Tell me all.", True)]

    run(main)


def test_question_that_was_cut_off_is_remembered_when_the_person_leaves() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts, stages.asr.partial = ["what can you do"], "for my"
        stages.asr.end_silence_ms = 300
        stages.llm.interval_s = 5.0  # nothing of the answer is heard
        async with conversation(stages.mesh(), NAMED) as (session, said):
            await Speaker(session).say(speech(0.1, 0.8, 0.6, 0.1))
            await said.until_kind("turn_interrupted")
        assert await remembered(stages) == [("what can you do", False)]

    run(main)


def test_client_that_leaves_before_there_is_room_for_its_answer() -> None:
    async def main(stages: DirectStages) -> None:
        async with Session.open(stages.mesh(), NAMED) as session:  # nobody reads
            for number in range(100):
                asking = asyncio.create_task(session.text(f"Question {number}?"))
                await asyncio.sleep(1)
                if not asking.done():
                    break
            asking.cancel()
            await asyncio.wait([asking])
        questions = [question for question, _ in await remembered(stages)]
        assert questions[-2:] == [f"Question {number - 1}?", f"Question {number}?"]
        assert len(questions) == number + 1

    run(main)


def test_question_to_a_session_that_was_closed_meanwhile_is_refused() -> None:
    async def main(stages: DirectStages) -> None:
        async with Session.open(stages.mesh(), NAMED) as session:
            for number in range(100):
                asking = asyncio.create_task(session.text(f"Question {number}?"))
                await asyncio.sleep(1)
                if not asking.done():
                    break
        (result,) = await asyncio.gather(asking, return_exceptions=True)
        assert "has ended" in str(result)
        assert len(stages.llm.configs) == number
        assert await left_running() == []

    run(main)


@pytest.mark.parametrize("guess_silence_ms", [None, 200])
def test_client_that_leaves_before_there_is_room_for_the_answer_to_its_speech(
    guess_silence_ms: int | None,
) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = ["Yes."]
        stages.asr.texts, stages.asr.guess_silence_ms = ["what about you"], guess_silence_ms
        async with Session.open(stages.mesh(), NAMED) as session:  # nobody reads
            while session._outbox.has_room:
                session._outbox.post(pb.ConverseResponse(speech_started=pb.SpeechStarted()))
            await Speaker(session).say(speech(0.1, 0.8, 0.8))
        assert await remembered(stages) == [("what about you", False)]
        assert await left_running() == []

    run(main)


def test_session_that_is_cancelled_while_it_closes() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG

        async def hold() -> None:
            async with answering(stages.mesh()):
                await asyncio.Event().wait()

        for steps in range(10):
            holding = asyncio.create_task(hold())
            await asyncio.sleep(10)
            holding.cancel()
            for _ in range(steps):
                await asyncio.sleep(0)
            holding.cancel()  # a server that stops cancels what is already being cancelled
            await asyncio.wait([holding])
            assert await remembered(stages) == [("Tell me all.", True)], steps
            assert await left_running() == []

    run(main)


def test_audio_that_comes_while_a_session_ends_is_dropped() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh(), NAMED) as (session, _):
            pass
        await Speaker(session).say(speech(0.1, 0.5))
        await session.end_of_speech()
        assert await left_running() == []
        assert not stages.asr.configs

    run(main)


def test_audio_waits_for_no_recogniser_after_the_end_of_a_session() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh(), NAMED) as (session, _):
            speaker = Speaker(session)
            await speaker.say(speech(0.1, 0.5))
        await speaker.say(speech(12.0))
        assert await left_running() == []

    run(main)
