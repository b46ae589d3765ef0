"""A turn in virtual time: order, pacing, lookahead, without face or voice."""

from __future__ import annotations

import asyncio

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.session.session import Session
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, RATE, conversation, now, run

LEAD_S = 0.3


def test_events_come_in_order_and_text_media_and_marks_fit_together() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh()) as (session, said):
            await session.text("What is this?")
            ended = await said.until_kind("turn_ended")
            kinds = said.kinds()
            assert kinds[:3] == ["session_started", "turn_started", "text_delta"], said.problem()
            assert kinds[-1] == "turn_ended"
            assert kinds.index("marks") < kinds.index("media")
            text = "".join(delta.text for delta in said.all("text_delta"))
            assert text == ended.text == "This is the first clause, and this is the rest. Bye now."
            segments = said.all("segment_started")
            assert [s.header.segment for s in segments] == [1, 2, 3]
            for segment in segments:
                assert text[segment.chars.start_char : segment.chars.end_char] == segment.text
            place = 0
            for number, media in enumerate(said.all("media"), 1):
                assert media.header.sequence == number
                assert media.audio.start_sample == place
                place += len(media.audio.pcm) // 2
                for frame in media.frames:
                    assert media.audio.start_sample <= frame.start_sample < place
            assert place == ended.sample_count
            assert {m.header.segment for m in said.all("media")} == {1, 2, 3}
            assert ended.reason == common.END_REASON_COMPLETE
            assert ended.heard_text == ended.text
            assert ended.sources[0].name == "hello"

    run(main)


def test_media_leaves_on_time_and_production_keeps_to_the_lookahead() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        made_ahead = []
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            started_at = now()
            while "turn_ended" not in said.kinds():
                made = await stages.tts.made.get() if stages.tts.made.qsize() else None
                if made is not None:
                    made_ahead.append(made / RATE - max(0.0, now() - started_at))
                else:
                    await asyncio.sleep(0.05)
            zero = said.times("media")[0]
            for at, media in zip(said.times("media"), said.all("media"), strict=True):
                due = max(0.0, media.audio.start_sample / RATE - LEAD_S)
                assert at - zero == pytest.approx(due, abs=0.002)
            ended_at = said.times("turn_ended")[0]
            (ended,) = said.all("turn_ended")
            assert ended_at - zero == pytest.approx(ended.sample_count / RATE, abs=0.01)
            # In addition to the 2 s, one message is in transit at each hop.
            assert max(made_ahead) < 2.0 + 20 * 0.1
            assert ended.sample_count / RATE > 25

    run(main)


def test_segments_are_held_back() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 8)
            sent = "".join(delta.text for delta in said.all("text_delta"))
            assert sent.startswith("".join(LONG[:-1])), "the text does not wait for the voice"
            assert len(stages.tts.segments) <= 6
            await session.stop()

    run(main)


def test_as_made_nothing_waits_for_playback() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        config = pb.ConverseConfig(pacing=pb.PACING_AS_MADE)
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("Tell me all.")
            ended = await said.until_kind("turn_ended")
            assert now() < 0.5
            assert ended.heard_text == ended.text

    run(main)


@pytest.mark.parametrize(
    ("config", "kinds"),
    [
        (
            pb.ConverseConfig(text_only=True),
            {"session_started", "turn_started", "text_delta", "turn_ended"},
        ),
        (pb.ConverseConfig(audio_only=True), None),
    ],
)
def test_answers_without_face_or_voice(config: pb.ConverseConfig, kinds: set[str] | None) -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            assert ended.heard_text == ended.text
            assert not stages.avatar.configs
            assert not any(media.frames for media in said.all("media"))
            if kinds is not None:
                assert set(said.kinds()) == kinds
                assert not stages.tts.configs
            else:
                assert said.all("media")

    run(main)


def test_endless_answer_is_cut() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = ["word " * 20] * 100
        config = pb.ConverseConfig(text_only=True)
        async with conversation(stages.mesh(max_answer_chars=1000), config) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_LENGTH
            assert len(ended.text) == 1000

    run(main)


def test_client_that_does_not_read_holds_all_stages() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        mesh = stages.mesh()
        async with Session.open(mesh, pb.ConverseConfig(pacing=pb.PACING_AS_MADE)) as session:
            await session.text("Tell me all.")
            await asyncio.sleep(600)
            made = 0
            while stages.tts.made.qsize():
                made = stages.tts.made.get_nowait()
            # 64 events in the outbox, 32 media in the player, a few at each stage.
            assert made < 30 * RATE
            async with asyncio.timeout(1):
                await session.text("Again?")
            kinds = []
            async for event in session.events():
                kinds.append(event.WhichOneof("event"))
                if kinds.count("turn_started") == 2:
                    break
            assert kinds == [
                "session_started",
                "turn_started",
                "turn_interrupted",
                "turn_ended",
                "turn_started",
            ]

    run(main)


def test_voice_of_the_answers_language_is_taken() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.language = "zh"
        async with conversation(stages.mesh(), pb.ConverseConfig(voice="bob")) as (session, said):
            await session.text("你好？")
            await said.until_kind("turn_ended")
            stages.llm.language = "en"
            await session.text("Hello?")
            await said.until_kind("turn_ended", 2)
        assert [list(c.voices) for c in stages.tts.configs] == [["mei"], ["bob"]]
        assert stages.tts.configs[1].rate_percent == 110

    run(main)
