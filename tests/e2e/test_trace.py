"""One trace per turn across the processes of the mesh, and the waterfall of the turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anima.gateway import v1 as gateway
from tests.e2e.conversation import conversation
from tests.mesh_process import running_mesh
from tests.requirements import need

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


def spans_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def test_all_stages_of_a_turn_are_in_one_trace(tmp_path: Path) -> None:
    need("minilm")
    stages = ("gateway", "llm", "memory", "tts", "avatar")
    files = {stage: tmp_path / f"{stage}.jsonl" for stage in stages}
    environment = {f"ANIMA_{stage.upper()}_TRACE_FILE": str(path) for stage, path in files.items()}
    with running_mesh(tmp_path, environment) as mesh:
        config = gateway.ConverseConfig(user_id="traced", pacing=gateway.PACING_AS_MADE)
        async with conversation(mesh.gateway_address, config) as session:
            ended = (await session.turn("What can you do?"))[-1].turn_ended
    # the processes have ended, so that all spans are written
    (turn,) = (span for span in spans_of(files["gateway"]) if span["name"] == "turn")
    for stage in stages[1:]:
        served = [span for span in spans_of(files[stage]) if span["trace_id"] == turn["trace_id"]]
        assert served, f"{stage} is not in the trace of the turn"
        parents = {span["span_id"] for span in [*spans_of(files["gateway"]), *served]}
        assert all(span["parent_id"] in parents for span in served)
    shown = {span.stage for span in ended.spans}
    assert shown >= {"llm", "memory", "tts", "avatar", "playout"}
    assert 0 < ended.first_media_us < 60_000_000
