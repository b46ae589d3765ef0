"""Overlap: clause 2 is made while clause 1 plays, and the first audio does not wait for it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import anima.gateway.v1 as pb
from testing.fakes.mesh import FakeMesh
from tests.unit.gateway.conversing import conversation, grpc_conversation


async def test_first_audio_does_not_wait_for_the_second_clause() -> None:
    """The model sends its second clause only after the first one has been heard."""
    async with FakeMesh() as fake, fake.mesh() as mesh:
        heard = asyncio.Event()
        fake.llm.answer = ["Well, this comes first,", heard, " and this comes a long time after."]
        async with conversation(mesh) as (session, said):
            await session.text("Tell me.")
            await said.until_kind("media", 2)
            assert len(said.all("text_delta")) == 1
            assert fake.tts.segments == ["Well, this comes first,"]
            heard.set()
            ended = await said.until_kind("turn_ended")
            assert ended.heard_text == "Well, this comes first, and this comes a long time after."


async def test_trace_shows_that_clause_2_is_made_while_clause_1_plays(tmp_path: Path) -> None:
    trace_file = tmp_path / "trace.jsonl"
    async with FakeMesh() as fake:
        playing = asyncio.Event()
        fake.llm.answer = [
            "Well, this is the first clause, and it is long enough to be played for a while.",
            playing,
            " This is the second sentence.",
        ]
        async with (
            fake.gateway(trace_file=trace_file) as gateway,
            grpc_conversation(gateway, pb.ConverseConfig(user_id="eve")) as (send, said),
        ):
            await send(pb.ConverseRequest(text=pb.TextInput(text="Tell me.")))
            await said.until_kind("media")
            playing.set()
            ended = await said.until_kind("turn_ended")
    spans = {span["name"]: span for span in map(json.loads, trace_file.read_text().splitlines())}
    turn = spans["turn"]
    names = {"memory", "llm", "avatar", "tts 1", "tts 2", "playout 1", "playout 2"}
    assert names <= spans.keys()
    for name in names:
        assert spans[name]["trace_id"] == turn["trace_id"]
        assert spans[name]["parent_id"] == turn["span_id"]
        assert spans[name]["attributes"]["anima.turn_id"] == ended.header.turn_id
    # The second clause was not even written when the first one began to play ...
    assert spans["tts 2"]["start_unix_ns"] > spans["playout 1"]["start_unix_ns"]
    # ... and was made before the first one had ended.
    assert spans["tts 2"]["end_unix_ns"] < spans["playout 1"]["end_unix_ns"]
    _check_waterfall(ended)


async def test_trace_context_reaches_the_stages(tmp_path: Path) -> None:
    stage_traces = tmp_path / "stages.jsonl"
    gateway_traces = tmp_path / "gateway.jsonl"
    async with (
        FakeMesh(trace_file=stage_traces) as fake,
        fake.gateway(trace_file=gateway_traces) as gateway,
        grpc_conversation(gateway, pb.ConverseConfig(user_id="eve")) as (send, said),
    ):
        await send(pb.ConverseRequest(text=pb.TextInput(text="Tell me.")))
        await said.until_kind("turn_ended")
        await fake.memory.remembered.get()
    read = [json.loads(line) for line in gateway_traces.read_text().splitlines()]
    (turn,) = [span for span in read if span["name"] == "turn"]
    served = [json.loads(line) for line in stage_traces.read_text().splitlines()]
    of_turn = {span["name"] for span in served if span["trace_id"] == turn["trace_id"]}
    assert {
        "anima.llm.v1.LlmService/Generate",
        "anima.memory.v1.MemoryService/Recall",
        "anima.tts.v1.TtsService/Synthesize",
        "anima.avatar.v1.AvatarService/Render",
    } <= of_turn


async def test_many_conversations_do_not_disturb_each_other() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:

        async def talk(number: int) -> None:
            fake.llm.answers[f"Q{number}"] = [f"This answers question {number},", " all of it."]
            async with conversation(mesh) as (session, said):
                await session.text(f"Q{number}")
                ended = await said.until_kind("turn_ended")
                assert ended.text == f"This answers question {number}, all of it."
                assert {m.header.turn_id for m in said.all("media")} == {ended.header.turn_id}

        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(talk(number))


def _check_waterfall(ended: Any) -> None:
    spans = {(span.stage, span.segment): span for span in ended.spans}
    assert {("llm", 0), ("memory", 0), ("tts", 1), ("tts", 2), ("avatar", 0)} <= spans.keys()
    assert spans["playout", 1].start_us == ended.first_media_us or (
        abs(spans["playout", 1].start_us - ended.first_media_us) < 5000
    )
    for span in ended.spans:
        assert span.start_us >= 0
        if span.HasField("first_output_us"):
            assert span.start_us <= span.first_output_us <= span.start_us + span.duration_us + 1
