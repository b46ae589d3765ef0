"""The engines that run models report nothing, and ask no hub for the model."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from services.runtime.observing.telemetry import REPORTERS
from tests import closed_network
from tests.requirements import need


@pytest.mark.long
@pytest.mark.parametrize("engine", ["vllm", "transformers"])
async def test_an_answer_leaves_nothing(engine: str, tiny: Path, tmp_path: Path) -> None:
    need("network-namespace")
    home = tmp_path / "home"
    home.mkdir()
    removed = {reporter.variable for reporter in REPORTERS} | {"CI"}
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in removed and not name.startswith(("ANIMA_", "HF_", "VLLM_", "XDG_"))
    }
    found = closed_network.run(
        [sys.executable, "-m", "tests.vllm.closed_generation", str(tiny), engine],
        report=tmp_path / "report.json",
        environment=environment | {"HOME": str(home)},
        timeout_s=380,
    )
    assert found.seen == []
    reports = [path.name for path in home.rglob("*") if "usage" in path.name or "id" in path.name]
    assert reports == []
