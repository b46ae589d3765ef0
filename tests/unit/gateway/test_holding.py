"""Speech during an answer in virtual time: held at once, then resumed or ended."""

from __future__ import annotations

import asyncio

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from services.runtime.errors import Unavailable
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, RATE, Transcript, conversation, now, run
from tests.unit.gateway.speaking import Speaker, speech


def sent_samples(said: Transcript) -> int:
    last = said.all("media")[-1].audio
    return int(last.start_sample + len(last.pcm) // 2)


@pytest.mark.parametrize("text", ["uh-huh", "", "嗯"])
def test_sign_of_listening_holds_and_resumes_where_it_stopped(text: str) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.texts = LONG, [text]
        stages.asr.guess_silence_ms, stages.asr.partial = 200, "uh"
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            speaker = Speaker(session)
            await speaker.say(speech(0.1, 0.4, 0.15))
            paused = said.all("turn_paused")[0]
            sent = sent_samples(said)
            assert said.times("media")[-1] <= said.times("turn_paused")[0]
            await speaker.say(speech(0.04))
            assert sent_samples(said) == sent
            await speaker.say(speech(1.0))
            (resumed,) = said.all("turn_resumed")
            ended = await said.until_kind("turn_ended", timeout_s=100)
            assert ended.reason == common.END_REASON_COMPLETE
            assert len(said.all("turn_started")) == 1
            assert not said.all("turn_interrupted")
            assert not said.all("notice")
            place = 0
            for media in said.all("media"):
                assert media.audio.start_sample == place
                place += len(media.audio.pcm) // 2
            assert place == ended.sample_count
            zero = said.times("media")[0]
            pause_s = resumed.paused_us / 1e6
            assert 0.5 < pause_s < 0.8
            took = said.times("turn_ended")[0] - zero
            assert took == pytest.approx(ended.sample_count / RATE + pause_s, abs=0.02)
            held_at = said.times("turn_paused")[0]
            assert paused.at_sample == pytest.approx((held_at - zero) * RATE, abs=RATE // 50)

    run(main)


def test_words_interrupt_and_are_answered() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.texts = LONG, ["what about you"]
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            await Speaker(session).say(speech(0.1, 0.8, 0.8))
            interrupted = await said.until_kind("turn_interrupted")
            (ended,) = said.all("turn_ended")
            assert len(said.all("turn_paused")) == 1
            assert not said.all("turn_resumed")
            # The pause came with the first sound, long before the speech was recognised.
            assert ended.silence_us < 150_000
            assert interrupted.heard_text == ended.heard_text
            paused = said.all("turn_paused")[0].at_sample
            words = [word for marks in said.all("marks") for word in marks.words]
            heard = [w for w in words if w.chars.end_char <= len(ended.heard_text)]
            assert heard[-1].samples.start_sample < paused
            await said.until_kind("turn_started", 2)
            assert said.all("turn_started")[1].question == "what about you"

    run(main)


def test_partial_of_two_words_ends_the_answer_early() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.texts = LONG, ["what about you"]
        stages.asr.partial = "what about"
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            started = now()
            await Speaker(session).say(speech(0.1, 0.8, 0.8))
            assert said.times("turn_interrupted")[0] - started < 0.3

    run(main)


@pytest.mark.parametrize("text", ["Stop!", "shut up", "停"])
def test_stop_is_no_question(text: str) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.texts = LONG, [text]
        stages.asr.guess_silence_ms = 200
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            await Speaker(session).say(speech(0.1, 0.4, 1.0))
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_INTERRUPTED
            await asyncio.sleep(5)
            assert len(said.all("turn_started")) == 1
            assert len(stages.llm.configs) == 1

    run(main)


def test_noise_does_not_hold_an_answer_for_long() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.texts, stages.asr.partial = LONG, [""], ""
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            await Speaker(session).say(speech(0.1, 5.0, 0.8))
            (resumed,) = said.all("turn_resumed")
            assert resumed.paused_us == pytest.approx(2e6, abs=5e4)
            ended = await said.until_kind("turn_ended", timeout_s=100)
            assert ended.reason == common.END_REASON_COMPLETE

    run(main)


def test_recogniser_that_dies_lets_the_answer_go_on() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        stages.asr.fail_after_start = Unavailable("gone")
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            await Speaker(session).say(speech(0.1, 0.5))
            await said.until_kind("turn_resumed")
            ended = await said.until_kind("turn_ended", timeout_s=100)
            assert ended.reason == common.END_REASON_COMPLETE
            assert said.all("notice")[0].stage == "asr"

    run(main)


def test_sign_of_listening_is_no_question_when_the_answer_was_stopped_meanwhile() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.texts = LONG, ["uh-huh"]
        stages.asr.guess_silence_ms = 200
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            microphone = Speaker(session)
            await microphone.say(speech(0.1, 0.4, 0.3))
            await said.until_kind("turn_resumed")
            await session.stop()
            await microphone.say(speech(2.0))
            assert len(said.all("turn_started")) == 1

    run(main)


def test_stop_during_a_hold_is_silent_since_the_hold() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            await Speaker(session).say(speech(0.1, 0.4))
            await session.stop()
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_INTERRUPTED
            await Speaker(session, start_sample=8_000).say(speech(0.8))
            assert len(said.all("turn_paused")) == 1
            assert not said.all("turn_resumed")

    run(main)


def test_yes_at_the_end_of_an_answer_is_answered() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.texts = ["Shall I go on?"], ["yes"]
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Hello?")
            await said.until_kind("media")
            await Speaker(session).say(speech(0.02, 0.4, 0.8))
            await said.until_kind("turn_started", 2)
            assert said.all("turn_started")[1].question == "yes"

    run(main)


def test_text_only_answer_is_interrupted_by_words_without_a_hold() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.llm.interval_s = LONG, 0.2
        stages.asr.texts = ["what about you"]
        config = pb.ConverseConfig(text_only=True)
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("text_delta")
            await Speaker(session).say(speech(0.1, 0.8, 0.8))
            await said.until_kind("turn_interrupted")
            assert not said.all("turn_paused")
            await said.until_kind("turn_started", 2)

    run(main)
