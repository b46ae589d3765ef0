"""Answers started on a guess: confirmed without a wait, or dropped without a trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from services.runtime.errors import Unavailable
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, RATE, Transcript, conversation, run
from tests.unit.gateway.speaking import Speaker, speech

# Neither whole nor unfinished: the pause alone ends it, after 500 ms.
PLAIN = "tell me a story"


@asynccontextmanager
async def listening(
    stages: DirectStages, config: pb.ConverseConfig | None = None, **settings: Any
) -> AsyncIterator[tuple[Speaker, Transcript]]:
    stages.asr.guess_silence_ms = 200
    stages.asr.end_silence_ms = None
    async with conversation(stages.mesh(**settings), config) as (session, said):
        yield Speaker(session), said


def test_answer_is_ready_when_the_guess_is_confirmed() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = [PLAIN]
        stages.llm.interval_s = 0.2
        async with listening(stages) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 1.0))
            ended = await said.until_kind("turn_ended")
            assert ended.speculative
            # Without the guess: 500 ms of silence and 200 ms for the first clause.
            assert ended.first_media_us == pytest.approx(520_000, abs=60_000)
            assert said.all("turn_started")[0].question == PLAIN
            assert said.kinds().index("user_transcript") < said.kinds().index("turn_started")
            assert len(stages.llm.configs) == 1
            text = "".join(delta.text for delta in said.all("text_delta"))
            assert text == ended.text == ended.heard_text
            assert min(span.start_us for span in ended.spans) >= 0

    run(main)


def test_nothing_is_said_before_the_guess_is_confirmed() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["i would like to know the"]
        async with listening(stages) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 1.1))
            assert len(stages.llm.configs) == len(stages.tts.configs) == 1
            assert stages.tts.segments
            assert set(said.kinds()) == {"session_started", "speech_started", "user_transcript"}
            await microphone.say(speech(0.3))
            await said.until_kind("turn_ended")
            assert len(stages.llm.configs) == 1

    run(main)


def test_of_a_guess_no_more_is_made_than_an_answer_needs_to_begin() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["i would like to know the"]
        stages.llm.answer = LONG
        async with listening(stages) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 1.1))
            assert 0.6 * RATE <= stages.avatar.received_samples <= 0.8 * RATE
            await microphone.say(speech(0.3))
            await said.until_kind("media", 3)
            sent = sum(len(media.audio.pcm) // 2 for media in said.all("media"))
            # The prepared media is sent at once: the lead, so that the player never waits.
            assert said.times("media")[1] - said.times("media")[0] < 0.01
            assert sent >= 0.3 * RATE
            ended = await said.until_kind("turn_ended", timeout_s=200)
            assert ended.heard_text == "".join(LONG)

    run(main)


def test_who_goes_on_drops_the_answer_without_a_trace() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["tell me a story about a cat"]
        stages.asr.guesses = [PLAIN, "tell me a story about a cat"]
        config = pb.ConverseConfig(user_id="eve")
        async with listening(stages, config) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 0.4, 1.0, 1.0))
            ended = await said.until_kind("turn_ended")
            assert [c.question for c in stages.llm.configs] == [PLAIN, ended_question(said)]
            assert len(said.all("turn_started")) == len(said.all("turn_ended")) == 1
            assert not said.all("turn_interrupted")
            assert not stages.llm.configs[1].history
            assert ended.header.epoch == 0
            remembered = await stages.memory.remembered.get()
            assert remembered.items[0].text == "tell me a story about a cat"
            assert stages.memory.remembered.empty()
        await asyncio.sleep(1)
        assert stages.llm.open_streams == stages.tts.open_streams == stages.avatar.open_streams == 0

    run(main)


def ended_question(said: Transcript) -> str:
    return str(said.all("turn_started")[0].question)


def test_other_words_at_the_end_are_answered_anew() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts, stages.asr.guesses = ["tell me a glory"], [PLAIN]
        async with listening(stages) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 1.0))
            ended = await said.until_kind("turn_ended")
            assert not ended.speculative
            assert ended_question(said) == "tell me a glory"
            assert [c.question for c in stages.llm.configs] == [PLAIN, "tell me a glory"]

    run(main)


def test_guess_that_failed_is_tried_anew() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = [PLAIN]
        stages.tts.refuse = Unavailable("restarting")
        async with listening(stages) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 0.4))
            stages.tts.refuse = None
            await microphone.say(speech(0.6))
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_COMPLETE
            assert not said.all("notice")

    run(main)


def test_typed_question_takes_the_place_of_a_guess() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = [PLAIN]
        async with listening(stages) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 0.3))
            await microphone.session.text("Typed.")
            await said.until_kind("turn_started")
            await microphone.say(speech(1.0))
            await said.until_kind("turn_started", 2)
            assert [t.question for t in said.all("turn_started")] == ["Typed.", PLAIN]
            assert len(said.all("turn_interrupted")) == 1

    run(main)


def test_closing_drops_a_guess() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = [PLAIN]
        async with listening(stages, pb.ConverseConfig(user_id="eve")) as (microphone, _):
            await microphone.say(speech(0.3, 1.0, 0.3))
            assert len(stages.llm.configs) == 1
        await asyncio.sleep(1)
        assert stages.memory.remembered.empty()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main)


def test_speculation_can_be_switched_off() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = [PLAIN]
        async with listening(stages, speculation=False) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 0.4))
            assert not stages.llm.configs
            await microphone.say(speech(0.6))
            assert not (await said.until_kind("turn_ended")).speculative

    run(main)


@pytest.mark.parametrize(
    ("text", "silence_s"),
    [("what can you do", 0.3), (PLAIN, 0.5), ("i would like to know the", 1.2)],
)
def test_words_decide_how_long_a_pause_must_be(text: str, silence_s: float) -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = [text]
        async with listening(stages) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 1.5))
            await said.until_kind("turn_started")
            assert said.times("turn_started")[0] == pytest.approx(1.3 + silence_s, abs=0.05)

    run(main)


def test_session_can_ask_for_a_pause_of_its_own() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["what can you do"]
        config = pb.ConverseConfig()
        config.endpointing.end_silence_ms = 800
        async with listening(stages, config) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 1.5))
            await said.until_kind("turn_started")
            assert said.times("turn_started")[0] == pytest.approx(2.1, abs=0.05)

    run(main)


def test_question_that_was_cut_in_two_is_answered_as_one() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["what can you do", "for my mother"]
        stages.llm.interval_s = 0.5
        async with listening(stages, pb.ConverseConfig(user_id="eve")) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 0.6, 1.0, 1.0))
            await said.until_kind("turn_ended", 2)
            questions = [t.question for t in said.all("turn_started")]
            assert questions == ["what can you do", "what can you do for my mother"]
            first, second = said.all("turn_ended")
            assert (first.reason, first.heard_text) == (common.END_REASON_INTERRUPTED, "")
            assert second.reason == common.END_REASON_COMPLETE
            assert not stages.llm.configs[-1].history
            remembered = await stages.memory.remembered.get()
            assert remembered.items[0].text == questions[1]
            await microphone.session.text("Next?")
            await said.until_kind("turn_ended", 3)
            history = [m.text for m in stages.llm.configs[-1].history if m.role == llm.ROLE_USER]
            assert history == [questions[1]]

    run(main)


def test_better_words_take_the_place_of_a_guess_and_the_same_ones_leave_it() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = [PLAIN]
        stages.asr.guesses = [f"tell me a glory|{PLAIN}|Tell me a story."]
        async with listening(stages) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 1.0))
            ended = await said.until_kind("turn_ended")
            assert ended.speculative
            # The first guess may be replaced before its answer has begun.
            asked = [c.question for c in stages.llm.configs]
            assert asked in ([PLAIN], ["tell me a glory", PLAIN])
            assert ended_question(said) == PLAIN

    run(main)


def test_doubtful_words_that_look_unfinished_are_answered_sooner() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["what languages do the"]
        stages.asr.confidence = 0.3
        async with listening(stages) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 1.5))
            await said.until_kind("turn_started")
            assert said.times("turn_started")[0] == pytest.approx(1.9, abs=0.05)

    run(main)


def test_shut_microphone_between_two_questions_is_no_sign_of_haste() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["what can you do", "who are you then"]
        async with listening(stages) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 0.35))
            await said.until_kind("turn_ended")
            began = asyncio.get_running_loop().time()
            await microphone.say(speech(0.1, 1.0, 0.6))
            await said.until_kind("turn_started", 2)
            assert said.times("turn_started")[1] == pytest.approx(began + 1.1 + 0.3, abs=0.05)

    run(main)


def test_who_was_cut_off_is_waited_for_longer_the_next_time() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["what can you do", "for my mother", "who are you then"]
        stages.llm.interval_s = 0.5
        async with listening(stages) as (microphone, said):
            await microphone.say(speech(0.3, 1.0, 0.6, 1.0, 1.0))
            await said.until_kind("turn_ended", 2)
            began = asyncio.get_running_loop().time()
            await microphone.say(speech(1.0, 1.0, 0.6))
            await said.until_kind("turn_started", 3)
            assert said.times("turn_started")[2] == pytest.approx(began + 2.0 + 0.4, abs=0.05)

    run(main)
