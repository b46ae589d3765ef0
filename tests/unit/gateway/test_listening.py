"""Listening in virtual time: one stream per utterance, no audio lost, failures reported."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from services.runtime.errors import FailedPrecondition, InvalidRequest, Unavailable
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import conversation, run
from tests.unit.gateway.speaking import MICROPHONE_RATE, Speaker, speech


def test_spoken_question_is_answered_and_the_clock_is_the_sessions() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["one", "two"]
        async with conversation(stages.mesh()) as (session, said):
            microphone = Speaker(session)
            await microphone.say(speech(0.5, 1.0, 0.7))
            await said.until_kind("turn_ended")
            await microphone.say(speech(0.5, 1.0, 0.7))
            await said.until_kind("turn_ended", 2)
            starts = [started.at_sample for started in said.all("speech_started")]
            assert starts == [MICROPHONE_RATE // 2, round(2.7 * MICROPHONE_RATE)]
            finals = [t for t in said.all("user_transcript") if t.final]
            assert [t.text for t in finals] == ["one", "two"]
            assert [t.words[0].samples.start_sample for t in finals] == starts
            assert [t.question for t in said.all("turn_started")] == ["one", "two"]
            assert all(config.single_utterance for config in stages.asr.configs)

    run(main)


def test_no_audio_is_lost_between_utterances() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["one", "two", "three"]
        whole = speech(0.3, 0.6, 0.6, 0.8, 0.6, 0.5, 0.6)
        async with conversation(stages.mesh()) as (session, said):
            await Speaker(session).say(whole)
            await said.until_kind("turn_started", 3)
        received = np.concatenate([np.frombuffer(pcm, "<i2") for _, pcm in stages.asr.received])
        heard = received[received > 0]
        assert np.array_equal(heard, whole[whole > 0])

    run(main)


def test_latency_counts_from_the_end_of_speech() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh()) as (session, said):
            await Speaker(session).say(speech(0.5, 1.0, 1.5))
            ended = await said.until_kind("turn_ended")
            assert ended.first_media_us == pytest.approx(500_000, abs=60_000)
            recognised = next(span for span in ended.spans if span.stage == "asr")
            assert recognised.start_us == 0
            assert recognised.duration_us == pytest.approx(500_000, abs=60_000)

    run(main)


def test_end_of_speech_does_not_wait_for_silence() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh()) as (session, said):
            await Speaker(session).say(speech(0.2, 1.0))
            await session.end_of_speech()
            ended = await said.until_kind("turn_ended")
            assert ended.first_media_us < 100_000

    run(main)


def test_button_without_speech_is_not_understood_and_late_release_says_nothing() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh()) as (session, said):
            microphone = Speaker(session)
            await microphone.say(speech(0.5))
            await session.end_of_speech()
            notice = await said.until_kind("notice")
            assert notice.kind == pb.NOTICE_KIND_NOT_UNDERSTOOD
            await microphone.say(speech(0.2, 1.0, 0.8))
            await session.end_of_speech()
            await said.until_kind("turn_ended")
            await asyncio.sleep(5)
            assert len(said.all("notice")) == 1

    run(main)


def test_a_microphone_that_stays_off_gives_its_recogniser_back() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["one", "two"]
        async with conversation(stages.mesh()) as (session, said):
            microphone = Speaker(session)
            await microphone.say(speech(0.5))
            await asyncio.sleep(60)
            assert len(stages.asr.configs) == 1
            await microphone.say(speech(0.5, 1.0, 0.7))
            await said.until_kind("turn_ended", 1)
            assert stages.asr.configs[1].turn_id == "utterance-2"
            assert not said.all("notice")

    run(main)


def test_empty_result_is_not_understood() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["", "now"]
        async with conversation(stages.mesh(), pb.ConverseConfig(language="zh")) as (session, said):
            microphone = Speaker(session)
            await microphone.say(speech(0.2, 1.0, 0.8))
            notice = await said.until_kind("notice")
            assert notice.kind == pb.NOTICE_KIND_NOT_UNDERSTOOD
            assert "请" in notice.text
            assert not said.all("turn_started")
            await microphone.say(speech(0.2, 1.0, 0.8))
            await said.until_kind("turn_ended")

    run(main)


def test_speech_interrupts_an_answer() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["stop that"]
        stages.llm.answer = ["This is a very long first clause,", *[" and so on and on"] * 40]
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            await said.until_kind("media", 10)
            await Speaker(session).say(speech(0.2, 1.0, 0.7))
            interrupted = await said.until_kind("turn_interrupted")
            kinds = said.kinds()
            assert kinds.index("speech_started") < kinds.index("turn_interrupted")
            assert interrupted.header.epoch == 1
            assert said.all("turn_started")[1].question == "stop that"
            assert said.all("turn_started")[1].header.epoch == 1

    run(main)


def test_recogniser_that_is_away_is_told_once_and_comes_back() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.refuse = Unavailable("restarting")
        async with conversation(stages.mesh()) as (session, said):
            microphone = Speaker(session)
            await microphone.say(speech(0.5, 1.0, 3.0))
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "asr")
            await session.text("Hello?")
            await said.until_kind("turn_ended")
            stages.asr.refuse = None
            await microphone.say(speech(2.0, 1.0, 0.8))
            await said.until_kind("turn_ended", 2)
            assert len(said.all("notice")) == 1

    run(main)


def test_language_that_is_not_heard_is_told_once_with_the_remedy() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.refuse = FailedPrecondition(
            "config.language: the engine understands English only",
            reason="LANGUAGE_NOT_SUPPORTED",
            metadata={
                "language": "zh-CN",
                "known": "en",
                "remedy": "anima models pull ears",
            },
        )
        async with conversation(stages.mesh(), pb.ConverseConfig(language="zh")) as (session, said):
            await Speaker(session).say(speech(0.5, 1.0, 3.0))
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_LANGUAGE_NOT_HEARD, "asr")
            assert notice.text == (
                "我在这里听不懂中文语音，请打字提问。我能听懂英语语音。"
                "（管理员可运行：anima models pull ears）"
            )

    run(main)


def test_language_is_detected_among_those_of_the_persona_the_last_one_first() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["你好", "再见", "bye"]
        stages.asr.languages = ["zh", "", "en"]
        async with conversation(stages.mesh()) as (session, said):
            microphone = Speaker(session)
            for number in (1, 2, 3):
                await microphone.say(speech(0.5, 1.0, 0.7))
                await said.until_kind("turn_ended", number)
            heard = [t.language for t in said.all("user_transcript") if t.final]
        assert heard == ["zh", "", "en"]
        offered = [list(config.candidate_languages) for config in stages.asr.configs]
        assert offered[:3] == [["en", "zh"], ["zh", "en"], ["zh", "en"]]

    run(main)


def test_the_language_of_the_page_is_the_likeliest_one() -> None:
    async def main(stages: DirectStages) -> None:
        config = pb.ConverseConfig(notice_language="zh-CN")
        async with conversation(stages.mesh(), config) as (session, said):
            await Speaker(session).say(speech(0.5, 1.0, 0.7))
            await said.until_kind("turn_ended")
        first = stages.asr.configs[0]
        assert (first.language, list(first.candidate_languages)) == ("zh", ["zh", "en"])

    run(main)


def test_language_that_the_person_has_chosen_is_not_detected() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh(), pb.ConverseConfig(language="zh")) as (session, said):
            await Speaker(session).say(speech(0.5, 1.0, 0.7))
            await said.until_kind("turn_ended")
        assert [config.language for config in stages.asr.configs][:1] == ["zh"]
        assert not stages.asr.configs[0].candidate_languages

    run(main)


@pytest.mark.parametrize(
    ("chunk", "text"),
    [
        (common.AudioChunk(sample_rate_hz=8000, pcm=bytes(2)), "sample_rate_hz: 8000"),
        (common.AudioChunk(sample_rate_hz=MICROPHONE_RATE, pcm=bytes(3)), "3 bytes"),
        (common.AudioChunk(sample_rate_hz=MICROPHONE_RATE, pcm=bytes(70_000)), "got 70000"),
        (
            common.AudioChunk(sample_rate_hz=MICROPHONE_RATE, pcm=bytes(2), start_sample=9),
            "start_sample: 9",
        ),
    ],
)
def test_wrong_audio_is_refused_and_the_session_lives_on(
    chunk: common.AudioChunk, text: str
) -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh()) as (session, said):
            with pytest.raises(InvalidRequest, match=text):
                await session.audio(chunk)
            await Speaker(session).say(speech(0.2, 1.0, 0.8))
            await said.until_kind("turn_ended")

    run(main)


def test_tiny_pieces_and_repeated_ends_need_no_memory() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh()) as (session, _):
            listening = session._listening
            for _ in range(1_000):
                await session.audio(common.AudioChunk(sample_rate_hz=MICROPHONE_RATE))
            for start in range(8_000):
                one = common.AudioChunk(
                    start_sample=start, sample_rate_hz=MICROPHONE_RATE, pcm=b"\x00\x00"
                )
                await session.audio(one)
                await session.end_of_speech()
                await session.end_of_speech()
                assert len(listening._ends) <= 16
            assert len(listening._microphone._arrivals) <= 8_000 / 80 + 2

    run(main)
