"""`anima replay` on the recordings of the tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from tests.requirements import ROOT

RECORDINGS = sorted((ROOT / "tests" / "unit" / "gateway" / "recordings").glob("*.jsonl"))


def replay(file: Path) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, ["replay", str(file)])


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_a_recording_is_decided_as_it_was(file: Path) -> None:
    result = replay(file)
    assert result.exit_code == 0, result.output
    assert "turn_started" in result.stdout
    assert "!" not in result.stdout


def test_what_is_decided_otherwise_is_marked(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in RECORDINGS[0].read_text().splitlines()]
    started = next(line for line in lines if line.get("said") == "turn_started")
    started["question"] = "something else"
    changed = tmp_path / "changed.jsonl"
    changed.write_text("\n".join(map(json.dumps, lines)))
    result = replay(changed)
    assert result.exit_code == 1
    assert "! turn_started" in result.stdout
    assert "decides otherwise" in result.stderr


@pytest.mark.parametrize("content", ["", "no JSON", "[]", '{"at_ms": 1}', '{"opened": {"x": 1}}'])
def test_another_file_is_no_recording(tmp_path: Path, content: str) -> None:
    (tmp_path / "file").write_text(content)
    result = replay(tmp_path / "file")
    assert result.exit_code == 1
    assert f"Error: {tmp_path / 'file'} is no recording of a session." in result.stderr
