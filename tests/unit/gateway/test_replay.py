"""Recordings of sessions: replaying the input leads to the same decisions."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from testing import replay
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, RATE, Transcript, conversation, run
from tests.unit.gateway.speaking import Speaker, speech

RECORDINGS = Path(__file__).with_name("recordings")


def record(folder: Path, talk: Any, *, texts: list[str], guesses: list[str] | None = None) -> Any:
    """Runs a recorded conversation; returns the lines."""

    async def main(stages: DirectStages) -> None:
        stages.asr.texts, stages.asr.guesses = texts, guesses or []
        stages.asr.guess_silence_ms, stages.asr.end_silence_ms = 200, None
        stages.llm.answer = LONG[:8]
        mesh = stages.mesh(turn_log_dir=str(folder))
        config = pb.ConverseConfig(session_id="s1", audio_only=True)
        async with conversation(mesh, config) as (session, said):
            await talk(Speaker(session), said)

    run(main)
    (path,) = written(folder)
    return replay.read(path)


def written(folder: Path) -> list[Path]:
    """The recordings of session s1, complete."""
    for thread in threading.enumerate():
        if thread.name.startswith("lines s1-"):
            thread.join()
    return sorted(folder.glob("s1-*.jsonl"))


async def interrupted_and_resumed(microphone: Speaker, said: Transcript) -> None:
    await microphone.say(speech(0.3, 1.0, 1.0))
    await said.until_kind("media", 4)
    turn_id = said.all("turn_started")[0].header.turn_id
    microphone.session.playback(pb.PlaybackReport(turn_id=turn_id, played_samples=RATE // 4))
    await microphone.say(speech(0.2, 0.3, 1.0))
    await said.until_kind("turn_resumed")
    await microphone.say(speech(0.5, 1.0, 1.0))
    await said.until_kind("turn_ended", 1)
    await said.until_kind("media", 12)
    await microphone.session.stop()
    await said.until_kind("turn_ended", 2)
    await microphone.session.text("Typed.")
    await said.until_kind("turn_ended", 3)


def test_session_is_decided_again_as_it_was(tmp_path: Path) -> None:
    lines = record(
        tmp_path, interrupted_and_resumed, texts=["what can you do", "uh huh", "no tell me a joke"]
    )
    again = replay.replay(lines)
    assert replay.decisions(again) == replay.decisions(lines)
    assert [decided for decided, _ in replay.decisions(lines)] == [
        "turn_started",
        "turn_paused",
        "turn_resumed",
        "turn_paused",
        "turn_interrupted",
        "turn_ended",
        "turn_started",
        "turn_interrupted",
        "turn_ended",
        "turn_started",
        "turn_ended",
    ]
    for then, now in zip(
        [line for line in lines if "said" in line],
        [line for line in again if "said" in line],
        strict=True,
    ):
        assert now["at_ms"] == pytest.approx(then["at_ms"], abs=150)
        assert now.get("speculative") == then.get("speculative")


def test_other_words_are_decided_otherwise(tmp_path: Path) -> None:
    lines = record(
        tmp_path, interrupted_and_resumed, texts=["what can you do", "uh huh", "no tell me a joke"]
    )
    for line in lines:
        if line.get("text") == "uh huh":
            line["text"] = "stop"
    assert replay.decisions(replay.replay(lines)) != replay.decisions(lines)


def test_recording_is_made_only_where_it_is_wanted(tmp_path: Path) -> None:
    async def main(stages: DirectStages) -> None:
        config = pb.ConverseConfig(session_id="s1")
        for folder in ("", str(tmp_path), str(tmp_path)):
            async with conversation(stages.mesh(turn_log_dir=folder), config) as (session, said):
                await session.text("Hello?")
                await said.until_kind("turn_ended")
                await asyncio.sleep(0)

    run(main)
    assert len(written(tmp_path)) == 2


@pytest.mark.parametrize("name", ["embedded_engines", "cut_in_two"])
def test_recordings_are_decided_as_they_were(name: str) -> None:
    lines = replay.read(RECORDINGS / f"{name}.jsonl")
    assert replay.decisions(lines)
    assert replay.decisions(replay.replay(lines)) == replay.decisions(lines)
