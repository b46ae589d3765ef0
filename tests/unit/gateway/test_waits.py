"""The parts of the person's wait: they add up, in the waterfall, the metrics and the trace."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.turn.timing.waits import parts, waits_us
from services.runtime.observing.tracing import tracer_provider
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import Transcript, conversation, now, run
from tests.unit.gateway.speaking import Speaker, speech

CLAUSE = ["This is the first clause,", " and this is the rest."]


def span(stage: str, start: int, duration: int, first: int | None = None) -> pb.StageSpan:
    return pb.StageSpan(stage=stage, start_us=start, duration_us=duration, first_output_us=first)


def test_each_moment_belongs_to_the_stage_that_was_waited_for() -> None:
    spans = [
        span("asr", 0, 200),
        span("memory", 200, 50),
        span("llm", 250, 900, 400),
        span("avatar", 260, 900, 720),
        span("tts", 500, 900, 600),
        span("tts", 900, 900, 950),
    ]
    assert waits_us(spans, 750) == {
        "asr": 200, "memory": 50, "llm": 150, "clause": 100, "tts": 100, "avatar": 120,
        "playout": 30,
    }  # fmt: skip


def test_what_was_made_on_a_guess_is_not_waited_for() -> None:
    spans = [
        span("asr", 0, 500),
        span("llm", -300, 100, -250),
        span("tts", -240, 100, -150),
        span("avatar", -290, 900, 520),
    ]
    waits = waits_us(spans, 530)
    assert (waits["asr"], waits["avatar"], waits["playout"]) == (500, 20, 10)
    assert sum(waits.values()) == 530


def test_missing_stages_take_no_time() -> None:
    assert waits_us([], 100) == {stage: 100 * (stage == "playout") for stage in parts()}


def waited() -> dict[str, float]:
    return {
        stage: REGISTRY.get_sample_value("anima_gateway_wait_seconds_sum", {"stage": stage}) or 0.0
        for stage in parts()
    }


def slow(stages: DirectStages) -> None:
    stages.memory.delay_s, stages.llm.interval_s = 0.1, 0.05
    stages.llm.answer = CLAUSE
    stages.tts.chunk_delay_s, stages.avatar.frame_delay_s = 0.04, 0.03


def test_typed_question_is_accounted_for_stage_by_stage() -> None:
    async def main(stages: DirectStages) -> None:
        slow(stages)
        before = waited()
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            asked_at = now()
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            added = {stage: total - before[stage] for stage, total in waited().items()}
            assert sum(added.values()) == pytest.approx(said.times("media")[0] - asked_at, abs=2e-3)
            assert sum(added.values()) == pytest.approx(ended.first_media_us / 1e6, abs=1e-5)
            # The first picture needs 40 ms of audio: the second chunk.
            expected = {"memory": 0.1, "llm": 0.05, "tts": 0.04, "avatar": 0.07}
            for stage, seconds in expected.items():
                assert added[stage] == pytest.approx(seconds, abs=5e-3), stage

    run(main)


def test_spoken_question_is_accounted_for_from_the_end_of_speech() -> None:
    async def main(stages: DirectStages) -> None:
        slow(stages)
        before = waited()
        async with conversation(stages.mesh()) as (session, said):
            started_at = now()
            await Speaker(session).say(speech(0.2, 1.0, 2.0))
            ended = await said.until_kind("turn_ended")
            added = {stage: total - before[stage] for stage, total in waited().items()}
            first_s = said.times("media")[0] - (started_at + 1.2)
            assert sum(added.values()) == pytest.approx(ended.first_media_us / 1e6, abs=1e-5)
            # Audio comes in chunks, so the end of speech is known only to a few ms.
            assert sum(added.values()) == pytest.approx(first_s, abs=0.1)
            assert added["asr"] > 0.2

    run(main)


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_jump_of_the_wall_clock_changes_nothing(
    jump_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = {"time": time.time, "time_ns": time.time_ns}
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def main(stages: DirectStages) -> tuple[list[tuple[float, str]], Any]:
        slow(stages)
        with tracer_provider(provider):
            async with conversation(stages.mesh()) as (session, said):
                await session.text("Hello?")
                await said.until_kind("media", 2)
                monkeypatch.setattr(time, "time", lambda: wall["time"]() + jump_s)
                monkeypatch.setattr(time, "time_ns", lambda: wall["time_ns"]() + int(jump_s * 1e9))
                ended = await said.until_kind("turn_ended")
                return events(said), ended

    def events(said: Transcript) -> list[tuple[float, str]]:
        return [(round(at, 3), str(event.WhichOneof("event"))) for at, event in said.events]

    jumped, ended = run(main)
    spans = {each.name: each for each in exporter.get_finished_spans()}
    for shown in ended.spans:
        name = f"{shown.stage} {shown.segment}" if shown.segment else shown.stage
        assert length_us(spans[name]) == pytest.approx(shown.duration_us, abs=2)
    turn = spans["turn"]
    attributes = turn.attributes or {}
    waits = [attributes[f"anima.wait.{stage}_us"] for stage in parts()]
    assert sum(map(int, map(str, waits))) == attributes["anima.first_media_us"]
    monkeypatch.undo()
    steady, _ = run(main_without_jump(slow, events))
    assert jumped == steady


def length_us(each: ReadableSpan) -> float:
    return ((each.end_time or 0) - (each.start_time or 0)) / 1e3


def main_without_jump(prepare: Any, events: Any) -> Any:
    async def main(stages: DirectStages) -> tuple[list[tuple[float, str]], Any]:
        prepare(stages)
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Hello?")
            return_value = await said.until_kind("turn_ended")
            return events(said), return_value

    return main


def test_every_metric_of_the_gateway_is_described() -> None:
    text = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text("utf-8")
    described = set(re.findall(r"`(anima_gateway_\w+?)(?:_total)?`", text))
    served = {family.name for family in REGISTRY.collect()}
    assert described == {name for name in served if name.startswith("anima_gateway_")}
