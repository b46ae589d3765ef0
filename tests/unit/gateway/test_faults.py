"""Internal errors in a part of a turn: reported at once, and the session goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.session.turns.turn_maker import TurnMaker
from gateway.turn import face
from gateway.turn.playout.gate import Gate
from gateway.turn.playout.schedule import Schedule
from gateway.turn.speaking import speaker
from gateway.turn.timing.spans import SpanLog
from gateway.turn.writing.segmenter import Segmenter
from services.runtime.errors import Unavailable
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, conversation, now, run
from tests.unit.gateway.speaking import Speaker, speech


class Fault:
    """Raises instead of the `at`-th call of a function, and records when."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        owner: Any,
        name: str,
        *,
        at: int = 1,
        counts: Callable[..., bool] = lambda *_: True,
    ) -> None:
        self.at_s: float | None = None
        self._left = at
        real = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            if counts(*args):
                self._left -= 1
                if self._left == 0:
                    self.at_s = now()
                    raise ZeroDivisionError("a fault of the gateway")
            return real(*args, **options)

        patch.setattr(owner, name, call)


def begins(stage: str) -> Callable[..., bool]:
    return lambda _, begun, *__: bool(begun == stage)


FAULTS: dict[str, dict[str, Any]] = {
    "the recall": {"owner": SpanLog, "name": "begin", "counts": begins("memory")},
    "the writer": {"owner": Segmenter, "name": "push", "at": 2},
    "the submitter of segments": {
        "owner": SpanLog,
        "name": "begin",
        "counts": begins("tts"),
        "at": 2,
    },
    "the speaker": {"owner": speaker, "name": "rebased_marks", "at": 2},
    "the face": {"owner": face, "name": "rebased_media", "at": 3},
    "the player": {"owner": Schedule, "name": "sent", "at": 3},
}


@pytest.mark.parametrize("part", FAULTS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_fault_in_a_part_ends_the_turn_at_once(
    part: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        config = pb.ConverseConfig(language=language)
        async with conversation(stages.mesh(), config) as (session, said):
            with monkeypatch.context() as patch:
                fault = Fault(patch, **FAULTS[part])
                await session.text("Tell me.")
                ended = await said.until_kind("turn_ended", timeout_s=60)
            assert ended.reason == common.END_REASON_ERROR
            assert said.times("turn_ended")[0] == fault.at_s
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_STAGE_FAILED, "gateway")
            assert notice.turn_id == ended.header.turn_id
            assert ("故障" in notice.text) == (language == "zh")
            stages.llm.answer = LONG[:2]
            await session.text("And now?")
            assert (await said.until_kind("turn_ended", 2)).reason == common.END_REASON_COMPLETE
            assert not any(stage.open_streams for stage in (stages.llm, stages.tts, stages.avatar))

    run(main)


def test_fault_in_the_replay_to_another_face_ends_the_turn_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        stages.avatar.fail_with, stages.avatar.fail_after_media = Unavailable("gone"), 5
        async with conversation(stages.mesh()) as (session, said):
            fault = Fault(
                monkeypatch, face, "after", counts=lambda *_: len(stages.avatar.configs) == 2
            )
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended", timeout_s=60)
            assert ended.reason == common.END_REASON_ERROR
            assert said.times("turn_ended")[0] == fault.at_s
            (notice,) = said.all("notice")
            assert notice.stage == "gateway"

    run(main)


def test_fault_after_all_was_made_ends_the_turn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(stages: DirectStages) -> None:
        config = pb.ConverseConfig(text_only=True)
        async with conversation(stages.mesh(), config) as (session, said):
            Fault(monkeypatch, Gate, "until_open")
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended", timeout_s=60)
            assert ended.reason == common.END_REASON_ERROR
            assert said.all("notice")[0].stage == "gateway"

    run(main)


def test_fault_in_what_a_turn_leaves_still_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:1]
        async with conversation(stages.mesh()) as (session, said):
            Fault(monkeypatch, TurnMaker, "record")
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended", timeout_s=60)
            assert ended.reason == common.END_REASON_COMPLETE
            await session.text("And now?")
            await said.until_kind("turn_ended", 2)

    run(main)


def test_guess_with_a_fault_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.guess_silence_ms = 200
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            fault = Fault(monkeypatch, Segmenter, "push")
            await Speaker(session).say(speech(0.1, 0.5, 1.0))
            ended = await said.until_kind("turn_ended", timeout_s=60)
            assert fault.at_s is not None
            assert fault.at_s < said.times("turn_started")[0], "it was a guess"
            assert ended.reason == common.END_REASON_COMPLETE
            assert not said.all("notice")
            assert len(said.all("turn_ended")) == 1
            await stages.memory.remembered.get()
            assert stages.memory.remembered.empty()
            assert not ended.speculative

    run(main)
