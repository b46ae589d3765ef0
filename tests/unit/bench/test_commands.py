"""Every benchmark has a command line, and `python -m bench` chooses among its parts."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from bench.__main__ import QUICK, chosen
from tests.requirements import ROOT

BY_ENVIRONMENT = {"forwarder", "scripted_stages"}
"""Servers, which take their settings from the environment."""
BY_OTHERS = {"beside_livekit", "beside_pipecat", "llm_client"}
"""Started by another benchmark, some with packages that are not installed here."""
IN_ANOTHER_ENVIRONMENT = {"llm"}
"""Needs vLLM: tests/vllm/test_bench.py."""


def commands() -> list[str]:
    """Returns the modules of `bench` that can be run."""
    runnable = {
        path.stem
        for path in Path(ROOT / "bench").glob("*.py")
        if '__name__ == "__main__"' in path.read_text() and path.stem != "__main__"
    }
    return sorted(runnable - BY_ENVIRONMENT - BY_OTHERS - IN_ANOTHER_ENVIRONMENT)


def test_all_parts_run_when_none_is_named() -> None:
    assert chosen([]) == (list(QUICK), False)


def test_only_the_named_parts_run() -> None:
    assert chosen(["--quick", "mesh", "tts"]) == (["mesh", "tts"], True)


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chosen(["tts", "speech"])
    assert "'speech'" in capsys.readouterr().err


@pytest.mark.parametrize("name", commands())
def test_each_command_explains_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f"bench.{name}")
    monkeypatch.setattr(sys, "argv", [f"bench.{name}", "--help"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 0
    assert "options:" in capsys.readouterr().out
