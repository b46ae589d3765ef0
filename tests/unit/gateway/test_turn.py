"""A turn in virtual time: order, pacing, lookahead, heard text, trouble."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from gateway.session import Session
from services.runtime.errors import Busy, InvalidRequest, NotFound, Unavailable
from tests.fakes.direct import DirectStages
from tests.unit.gateway.conversing import conversation
from tests.virtual_time import in_virtual_time

RATE = 24_000
LEAD_S = 0.3
SENTENCES = [f" This is sentence number {number} of the long answer." for number in range(30)]
LONG = ("Well, let me see,", *SENTENCES)


def run(main: Any) -> Any:
    async def with_stages() -> Any:
        return await main(DirectStages())

    return in_virtual_time(with_stages)


def now() -> float:
    return asyncio.get_running_loop().time()


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
            # On top of the 2 s comes a message under way at each hop.
            assert max(made_ahead) < 2.0 + 20 * 0.1
            assert ended.sample_count / RATE > 25

    run(main)


def test_segments_are_held_back() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 8)
            assert len(said.all("text_delta")) == len(LONG), "the text does not wait for the voice"
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


def test_without_a_user_nothing_is_recalled_or_remembered() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Hello?")
            await said.until_kind("turn_ended")
        assert not stages.memory.requests
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


def test_slow_memory_degrades_and_the_answer_goes_on() -> None:
    async def main(stages: DirectStages) -> None:
        stages.memory.delay_s = 60
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("Hello?")
            notice = await said.until_kind("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "memory")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_COMPLETE
            assert said.times("media")[0] < 0.6

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


def test_face_that_fails_before_any_picture_leaves_the_voice() -> None:
    async def main(stages: DirectStages) -> None:
        stages.avatar.fail_with = Unavailable("no picture")
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "avatar")
            assert ended.reason == common.END_REASON_COMPLETE
            place = 0
            for media in said.all("media"):
                assert media.audio.start_sample == place
                place += len(media.audio.pcm) // 2
            assert place == len(ended.text.replace(". ", ".").replace(", ", ",")) * RATE // 50

    run(main)


def test_face_that_fails_later_ends_the_answer_with_what_was_made() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        stages.avatar.fail_with, stages.avatar.fail_after_media = Unavailable("gone"), 5
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended")
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_STAGE_FAILED, "avatar")
            assert ended.reason == common.END_REASON_ERROR
            assert len(said.all("media")) == 5
            assert ended.heard_text
            assert ended.text.startswith(ended.heard_text)

    run(main)


def test_voice_that_fails_ends_the_answer_and_the_next_question_works() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        stages.tts.fail_with, stages.tts.fail_after_chunks = Unavailable("gone"), 3
        config = pb.ConverseConfig(language="zh")
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("说说看。")
            ended = await said.until_kind("turn_ended")
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_STAGE_FAILED, "tts")
            assert "声音" in notice.text
            assert notice.turn_id == ended.header.turn_id
            assert ended.reason == common.END_REASON_ERROR
            assert ended.sample_count > 0
            stages.tts.fail_with = None
            stages.llm.answer = ("好的，没问题。",)
            await session.text("再来一次。")
            assert (await said.until_kind("turn_ended", 2)).reason == common.END_REASON_COMPLETE

    run(main)


def test_silent_model_is_given_up() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.stuck = True
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended", timeout_s=100)
            assert said.all("notice")[0].stage == "llm"
            assert ended.reason == common.END_REASON_ERROR
            assert ended.text == "This is the first clause, and this is the rest. Bye now."
            assert ended.heard_text == ended.text, "what was written is still spoken"

    run(main)


def test_busy_voice_is_told() -> None:
    async def main(stages: DirectStages) -> None:
        stages.tts.refuse = Busy("all 1 places are taken")
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            assert said.all("notice")[0].stage == "tts"
            assert ended.reason == common.END_REASON_ERROR

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


@pytest.mark.parametrize(
    ("config", "error", "text"),
    [
        (pb.ConverseConfig(session_id="a b"), InvalidRequest, "config.session_id"),
        (pb.ConverseConfig(user_id="u" * 129), InvalidRequest, "config.user_id"),
        (pb.ConverseConfig(language="?!"), InvalidRequest, "config.language"),
        (pb.ConverseConfig(input_sample_rate_hz=11), InvalidRequest, "input_sample_rate_hz"),
        (pb.ConverseConfig(text_only=True, audio_only=True), InvalidRequest, "config.audio_only"),
        (pb.ConverseConfig(pacing=7), InvalidRequest, "config.pacing"),  # type: ignore[arg-type]
        (pb.ConverseConfig(video=common.VideoFormat(width_px=3)), InvalidRequest, "width_px"),
        (pb.ConverseConfig(persona="nobody"), NotFound, "there are: ani"),
        (pb.ConverseConfig(voice="nobody"), NotFound, "amy"),
        (pb.ConverseConfig(avatar="nobody"), NotFound, "ani"),
    ],
)
def test_wrong_config_is_refused(
    config: pb.ConverseConfig, error: type[Exception], text: str
) -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh()
        with pytest.raises(error, match=text):
            async with Session.open(mesh, config):
                pytest.fail("the session was opened")
        assert mesh.places.active == 0

    run(main)


def test_places_are_counted_and_freed() -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh(capacity=1)
        async with Session.open(mesh, pb.ConverseConfig()):
            with pytest.raises(Busy, match="1 places"):
                async with Session.open(mesh, pb.ConverseConfig()):
                    pytest.fail("the session was opened")
        async with Session.open(mesh, pb.ConverseConfig()):
            pass

    run(main)


def test_nothing_is_left_running() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            await said.until_kind("media", 2)
            await session.text("And this?")
            await said.until_kind("media", 4)
        await asyncio.sleep(1)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert [task.get_name() for task in left] == []

    run(main)
