"""The heard part of an answer, and its record in history and memory."""

from __future__ import annotations

import asyncio

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from gateway.session.session import Session
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, RATE, Transcript, conversation, now, run


@pytest.mark.parametrize("seconds", [0.5, 3.0, 7.7])
def test_heard_text_is_cut_at_the_word_by_the_schedule(seconds: float) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media")
            zero = now()
            await asyncio.sleep(zero + seconds - now())
            await session.stop()
            interrupted = await said.until_kind("turn_interrupted")
            (ended,) = said.all("turn_ended")
            words = [word for marks in said.all("marks") for word in marks.words]
            played = seconds * RATE
            heard = [
                w for w in words if w.samples.start_sample + w.samples.sample_count / 2 < played
            ]
            assert interrupted.heard_text == ended.heard_text
            assert interrupted.heard_text == ended.text[: heard[-1].chars.end_char]
            assert ended.reason == common.END_REASON_INTERRUPTED

    run(main)


def test_heard_text_follows_the_client_if_it_reports() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            turn_id = said.all("turn_started")[0].header.turn_id
            session.playback(pb.PlaybackReport(turn_id=turn_id, played_samples=RATE // 4))
            await session.stop()
            interrupted = await said.until_kind("turn_interrupted")
            assert interrupted.heard_text == "Well, let me"

    run(main)


def test_history_keeps_what_was_heard_and_memory_learns_it() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        config = pb.ConverseConfig(user_id="eve", session_id="s1")
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 10)
            await session.text("Stop, what about this?")
            heard = (await said.until_kind("turn_interrupted")).heard_text
            await said.until_kind("turn_started", 2)
            await said.until_kind("text_delta", len(LONG) + 1)
            history = stages.llm.configs[1].history
            assert [(m.role, m.text) for m in history] == [
                (llm.ROLE_USER, "Tell me all."),
                (llm.ROLE_ASSISTANT, heard),
            ]
            remembered = await stages.memory.remembered.get()
            assert remembered.user_id == "eve"
            assert [item.text for item in remembered.items] == ["Tell me all.", heard]
            turn_id = said.all("turn_started")[0].header.turn_id
            assert {(i.session_id, i.turn_id) for i in remembered.items} == {("s1", turn_id)}
            assert stages.memory.requests[0].exclude_session_id == "s1"

    run(main)


def test_of_a_long_question_both_ends_are_searched_for_and_all_of_it_is_asked() -> None:
    async def main(stages: DirectStages) -> None:
        question = "头" * 4_000 + "尾" * 4_000
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text(question)
            await said.until_kind("turn_ended")
            (recall,) = stages.memory.requests
            assert len(recall.query) < 700
            assert recall.query.startswith("头" * 300)
            assert recall.query.endswith("尾" * 300)
            assert stages.llm.configs[0].question == question

    run(main)


def test_without_a_user_documents_are_asked_for_and_nothing_is_remembered() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Hello?")
            await said.until_kind("turn_ended")
        assert [(r.user_id, r.max_passages > 0) for r in stages.memory.requests] == [("", True)]
        assert stages.memory.remembered.empty()

    run(main)


def test_closing_in_an_answer_still_remembers_the_heard_part() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 10)
        remembered = await stages.memory.remembered.get()
        assert remembered.items[1].text.startswith("Well,")

    run(main)


SHORT = ("One two three four five.", " Six seven eight nine ten.")


async def play(session: Session, said: Transcript, *reports: tuple[float, int]) -> None:
    """Reports positions at times, each in seconds and samples after the first media."""
    await said.until_kind("media")
    zero = said.times("media")[0]
    turn_id = said.all("turn_started")[-1].header.turn_id
    for at, samples in reports:
        await asyncio.sleep(zero + at - now())
        session.playback(pb.PlaybackReport(turn_id=turn_id, played_samples=samples))


def test_a_report_of_more_than_was_sent_is_not_believed() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await play(session, said, (1.0, 2**50))
            await asyncio.sleep(1.0)
            await session.stop()
            interrupted = await said.until_kind("turn_interrupted")
            # At 1 s, the lead of 0.3 s and no more than one message had been sent ahead.
            words = [word for marks in said.all("marks") for word in marks.words]
            last = [w for w in words if w.chars.end_char == len(interrupted.heard_text)]
            assert 1.9 < last[0].samples.start_sample / RATE < 2.7

    run(main)


def test_a_report_that_goes_backwards_takes_nothing_back() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await play(session, said, (0.6, RATE // 4), (0.7, 0), (0.7, 100))
            await session.stop()
            interrupted = await said.until_kind("turn_interrupted")
            # 0.25 s were reported, and 0.1 s passed since.
            assert interrupted.heard_text == "Well, let me see,"

    run(main)


def test_who_stops_reporting_is_taken_to_play_on() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = SHORT
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("Count.")
            await play(session, said, (0.2, RATE // 10))
            ended = await said.until_kind("turn_ended")
            assert ended.heard_text == ended.text == "".join(SHORT)
            remembered = await stages.memory.remembered.get()
            assert remembered.items[1].text == "".join(SHORT)

    run(main)


def test_who_reports_the_same_for_ever_has_heard_no_more_and_ends_the_turn() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:5]
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("Tell me all.")
            same = [(0.25 * n, min(RATE * n // 4, RATE // 2)) for n in range(1, 60)]
            playing = asyncio.create_task(play(session, said, *same))
            ended = await said.until_kind("turn_ended")
            assert now() - said.times("media")[0] < ended.sample_count / RATE + 1.5
            assert ended.reason == common.END_REASON_COMPLETE
            assert ended.text == "".join(LONG[:5])
            assert ended.heard_text == "Well, let me see, This is"
            remembered = await stages.memory.remembered.get()
            assert remembered.items[1].text == ended.heard_text
            await session.text("And?")
            await said.until_kind("turn_ended", 2)
            assert stages.llm.configs[1].history[1].text == ended.heard_text
            playing.cancel()

    run(main)


def test_a_report_after_the_end_or_for_an_older_turn_changes_nothing() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("Tell me all.")
            await play(session, said, (0.5, RATE // 4))
            await session.stop()
            heard = (await said.until_kind("turn_ended")).heard_text
            first = said.all("turn_started")[0].header.turn_id
            session.playback(pb.PlaybackReport(turn_id=first, played_samples=9 * RATE))
            await session.text("Go on.")
            await said.until_kind("media", len(said.all("media")) + 5)
            session.playback(pb.PlaybackReport(turn_id=first, played_samples=9 * RATE))
            await session.stop()
            second = await said.until_kind("turn_ended", 2)
            assert len(second.heard_text.split()) < 12
            assert stages.llm.configs[1].history[1].text == heard
            remembered = await stages.memory.remembered.get()
            assert remembered.items[1].text == heard

    run(main)
