"""`anima up`: starts, reports problems, leaves nothing behind, obeys its settings."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import pytest_asyncio

from anima.common import v1 as common
from anima.gateway import v1 as gateway
from services.runtime.calls.channels import open_channel
from tests.e2e.conversation import conversation
from tests.mesh_process import free_first_port, running_mesh
from tests.requirements import need

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


def up(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", "up", *arguments],
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_what_only_a_service_can_know_ends_the_mesh_and_is_named(tmp_path: Path) -> None:
    port = free_first_port()
    where = ("--first-port", str(port), "--http", str(port + 8), "--logs", str(tmp_path))
    ended = up(*where, ANIMA_TTS_ENGINE="espek", ANIMA_DATA_DIR=str(tmp_path / "data"))
    assert ended.returncode == 1
    assert "tts could not start: " in ended.stderr
    assert "ANIMA_TTS_ENGINE: unknown engine 'espek'; known: espeak, flite" in ended.stderr


def test_missing_models_are_said_and_nothing_is_left_where_it_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "without models"
    with running_mesh(tmp_path, {"ANIMA_DATA_DIR": str(data)}) as mesh:
        wanted = "face-mesh minilm-l6-v2 moonshine-tiny-en multilingual-e5-small"
        mesh.wait_for(f"ANIMA_DATA_DIR='{data}' anima models pull {wanted}")
        assert any("The model multilingual-e5-small is missing" in line for line in mesh.lines)

        processes = mesh.processes()
        mesh.process.kill()
        _, alive = psutil.wait_procs(processes, timeout=30)
        assert not alive


QUESTION = "What can you do?"
SECRET = "a-secret-of-the-test"
TRACED = ("gateway", "llm", "memory", "tts", "avatar")


@dataclass(frozen=True, kw_only=True)
class Life:
    """Observations of a mesh from its start to a Ctrl-C in the middle of an answer.

    Attributes:
        stages: The gateway's status of each stage.
        http: The status of the same request without and with the token.
        ended: The end of the answer.
        exit_status: The exit status of `anima up`.
        remembered: The texts in the memory's database.
        left: Its processes that were still running after it had ended.
        printed: Its output and logs.
        spans: The spans of each traced service.
    """

    stages: list[gateway.StageStatus]
    http: tuple[int, int]
    ended: gateway.TurnEnded
    exit_status: int
    remembered: list[str]
    left: list[psutil.Process]
    printed: str
    spans: dict[str, list[dict[str, Any]]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    need("encoder")
    folder = tmp_path_factory.mktemp("life")
    traces = {stage: folder / f"{stage}.jsonl" for stage in TRACED}
    environment = {
        "ANIMA_TTS_ENGINE": "espeak",
        "ANIMA_LLM_WORD_INTERVAL_MS": "60",
        "ANIMA_TOKEN": SECRET,
        **{f"ANIMA_{stage.upper()}_TRACE_FILE": str(path) for stage, path in traces.items()},
    }
    with running_mesh(folder, environment) as mesh:
        processes = mesh.processes()
        async with open_channel(mesh.gateway_address, token=SECRET) as channel:
            stub: Any = gateway.GatewayServiceStub(channel)
            described = await stub.DescribeMesh(gateway.DescribeMeshRequest())
        async with httpx.AsyncClient(base_url=mesh.page, trust_env=False, timeout=60) as http:
            question = {"text": "Who are you?"}
            without = await http.post("/v1/ask", json=question)
            allowed = {"authorization": f"Bearer {SECRET}"}
            answer = await http.post("/v1/ask?format=json", json=question, headers=allowed)
        config = gateway.ConverseConfig(user_id="ada", pacing=gateway.PACING_AS_MADE)
        async with conversation(mesh.gateway_address, config, token=SECRET) as session:
            await session.ask(QUESTION)
            await session.until_kind("text_delta")
            mesh.process.send_signal(signal.SIGINT)
            ended = (await session.until_kind("turn_ended")).turn_ended
        exit_status = await asyncio.to_thread(mesh.process.wait, 60)
        _, left = psutil.wait_procs(processes, timeout=30)
    with closing(sqlite3.connect(folder / "data" / "memory" / "memory.db")) as database:
        remembered = [text for (text,) in database.execute("SELECT text FROM item")]
    # The processes have ended, so all spans are written.
    spans = {
        stage: [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for stage, path in traces.items()
    }
    status = (without.status_code, answer.status_code)
    printed = mesh.log_tails() + "".join(mesh.lines)
    return Life(
        stages=list(described.stages),
        http=status,
        ended=ended,
        exit_status=exit_status,
        remembered=remembered,
        left=left,
        printed=printed,
        spans=spans,
    )


async def test_an_engine_is_switched_by_a_setting(life: Life) -> None:
    assert {stage.stage: stage.engine.name for stage in life.stages}["tts"] == "espeak"
    assert all(stage.ready for stage in life.stages)


async def test_a_token_is_demanded_and_appears_in_no_log(life: Life) -> None:
    assert life.http == (401, 200)
    assert SECRET not in life.printed


async def test_an_answer_under_way_is_finished_and_remembered(life: Life) -> None:
    assert life.ended.reason == common.END_REASON_COMPLETE
    assert {QUESTION, life.ended.text} <= set(life.remembered)


async def test_nothing_is_left_behind_after_ctrl_c(life: Life) -> None:
    assert life.exit_status == 0
    assert not life.left


async def test_all_stages_of_a_turn_are_in_one_trace(life: Life) -> None:
    turns = [span for span in life.spans["gateway"] if span["name"] == "turn"]
    turn_id = life.ended.header.turn_id
    (turn,) = (span for span in turns if span["attributes"]["anima.turn_id"] == turn_id)
    for stage in TRACED[1:]:
        served = [span for span in life.spans[stage] if span["trace_id"] == turn["trace_id"]]
        assert served, f"{stage} is not in the trace of the turn"
        parents = {span["span_id"] for span in [*life.spans["gateway"], *served]}
        assert all(span["parent_id"] in parents for span in served)


async def test_the_end_of_a_turn_says_how_long_each_stage_took(life: Life) -> None:
    shown = {span.stage for span in life.ended.spans}
    assert shown >= {"llm", "memory", "tts", "avatar", "playout"}
    assert life.ended.first_media_us > 0
