"""`anima up`: starts, says what is wrong, leaves nothing behind, obeys its settings."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from anima.common import v1 as common
from anima.gateway import v1 as gateway
from services.runtime.channels import open_channel
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
    assert "tts cannot start: " in ended.stderr
    assert "ANIMA_TTS_ENGINE: no engine is called 'espek'; known: espeak, flite" in ended.stderr


def test_missing_models_are_said_when_the_mesh_is_ready(tmp_path: Path) -> None:
    data = tmp_path / "without models"
    with running_mesh(tmp_path, {"ANIMA_DATA_DIR": str(data)}) as mesh:
        mesh.wait_for(f"ANIMA_DATA_DIR='{data}' anima models pull face-mesh minilm-l6-v2")
        assert any("The model minilm-l6-v2 is missing" in line for line in mesh.lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_behind(tmp_path: Path, number: signal.Signals) -> None:
    need("minilm")
    with running_mesh(tmp_path) as mesh:
        process = psutil.Process(mesh.process.pid)
        children = process.children(recursive=True)
        assert len(children) >= 6
        mesh.process.send_signal(number)
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive


async def test_an_engine_is_switched_and_a_token_is_demanded_by_settings(tmp_path: Path) -> None:
    need("minilm")
    environment = {"ANIMA_TTS_ENGINE": "espeak", "ANIMA_TOKEN": "a-secret-of-the-test"}
    with running_mesh(tmp_path, environment) as mesh:
        async with open_channel(mesh.gateway_address, token="a-secret-of-the-test") as channel:
            stub: Any = gateway.GatewayServiceStub(channel)
            described = await stub.DescribeMesh(gateway.DescribeMeshRequest())
        engines = {stage.stage: stage.engine.name for stage in described.stages}
        assert engines["tts"] == "espeak"
        assert all(stage.ready for stage in described.stages)
        async with httpx.AsyncClient(base_url=mesh.page, trust_env=False) as http:
            question = {"text": "Who are you?"}
            assert (await http.post("/v1/ask", json=question)).status_code == 401
            allowed = {"authorization": "Bearer a-secret-of-the-test"}
            answer = await http.post(
                "/v1/ask?format=json", json=question, headers=allowed, timeout=60
            )
            assert answer.status_code == 200
        assert "a-secret-of-the-test" not in mesh.log_tails() + "".join(mesh.lines)


async def test_an_answer_under_way_is_finished_and_remembered_when_the_mesh_stops(
    tmp_path: Path,
) -> None:
    need("minilm")
    with running_mesh(tmp_path, {"ANIMA_LLM_WORD_INTERVAL_MS": "60"}) as mesh:
        config = gateway.ConverseConfig(user_id="ada", text_only=True)
        async with conversation(mesh.gateway_address, config) as session:
            await session.ask("What can you do?")
            await session.until_kind("text_delta")
            mesh.process.send_signal(signal.SIGINT)
            ended = (await session.until_kind("turn_ended")).turn_ended
            assert ended.reason == common.END_REASON_COMPLETE
        assert await asyncio.to_thread(mesh.process.wait, 60) == 0
    with closing(sqlite3.connect(tmp_path / "data" / "memory" / "memory.db")) as database:
        texts = [text for (text,) in database.execute("SELECT text FROM item")]
    assert "What can you do?" in texts
    assert ended.text in texts
