"""`anima ask`: errors of a call are explained in the terms of its user."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import ask as ask_module
from cli.main import app
from cli.mesh.layout import fixed_layout
from cli.mesh.record import recording
from memory.sqlite.folder_lock import lock


@pytest.fixture(name="asked")
def _asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, object]]:
    """Records the questions and their targets; nothing is sent."""
    found: list[tuple[object, object]] = []

    async def record(asked: ask_module._Asked, mesh: object) -> None:
        found.append((asked.question, mesh))

    monkeypatch.setattr(ask_module, "_ask", record)
    return found


def ask(*arguments: str, folder: Path, **environment: str) -> Result:
    runner = CliRunner(env={"COLUMNS": "300", "ANIMA_DATA_DIR": str(folder), **environment})
    return runner.invoke(app, ["ask", *arguments])


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_an_empty_question(tmp_path: Path, asked: list[object], text: str) -> None:
    result = ask(text, folder=tmp_path)
    assert result.exit_code == 1
    assert "Error: the question is empty." in result.stderr
    assert not asked


@pytest.mark.parametrize(
    "arguments",
    [
        ("-5 + 3?",),
        ("-5 + 3?", "--user", "ada"),
        ("--user", "ada", "-5 + 3?"),
        ("--", "-5 + 3?"),
        ("-5 + 3?", "--user=Ada Lovelace"),
        ("-5 + 3?", "--user", "- a b"),
    ],
)
def test_a_question_that_begins_with_a_minus(
    tmp_path: Path, asked: list[tuple[object, object]], arguments: tuple[str, ...]
) -> None:
    result = ask(*arguments, folder=tmp_path)
    assert result.exit_code == 0, result.output
    assert [question for question, _ in asked] == ["-5 + 3?"]


def test_a_misspelt_option_is_still_an_error(tmp_path: Path, asked: list[object]) -> None:
    result = ask("Who are you?", "--otu", "a.mp4", folder=tmp_path)
    assert result.exit_code == 2
    assert "--otu" in result.stderr
    assert not asked


def test_the_mesh_that_runs_is_asked(tmp_path: Path, asked: list[tuple[object, object]]) -> None:
    layout = fixed_layout(http_address="127.0.0.1:18080", first_port=20000)
    with recording(tmp_path, layout):
        ask("Who are you?", folder=tmp_path)
        ask("Who are you?", folder=tmp_path, ANIMA_GATEWAY="127.0.0.1:1")
        ask("Who are you?", "--gateway", "http://127.0.0.1:2/", folder=tmp_path)
    ask("Who are you?", folder=tmp_path)
    targets = [mesh for _, mesh in asked]
    assert targets == ["127.0.0.1:20000", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:50050"]


@pytest.mark.parametrize(
    ("gateway", "problem"),
    [
        ("127.0.0.1", "--gateway: '127.0.0.1' has no port, write 127.0.0.1:50050"),
        ("https://127.0.0.1:1", "--gateway: https:// cannot be used here"),
        ("no-such-host.invalid:1", "--gateway: the host no-such-host.invalid is unknown"),
    ],
)
def test_a_wrong_gateway(tmp_path: Path, asked: list[object], gateway: str, problem: str) -> None:
    result = ask("Who are you?", "--gateway", gateway, folder=tmp_path)
    assert result.exit_code == 1
    assert problem in result.stderr
    assert not asked


def test_a_mesh_of_its_own_needs_data_of_its_own(tmp_path: Path, asked: list[object]) -> None:
    (tmp_path / "memory").mkdir()
    with lock(tmp_path / "memory"):
        result = ask("Who are you?", "--local", folder=tmp_path)
    assert result.exit_code == 1
    assert f"another mesh uses the data in {tmp_path}." in result.stderr
    assert "omit --local" in result.stderr
    assert not asked


def test_pictures_are_checked_before_anything_is_sent(
    tmp_path: Path, asked: list[tuple[object, object]]
) -> None:
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(b"")
    refused = ask("What is this?", "--image", str(picture), folder=tmp_path)
    assert refused.exit_code == 1
    assert "a picture must have 1 to 16777216 bytes, this has 0" in refused.stderr
    picture.write_bytes(b"\xff\xd8\xff")
    refused = ask("What is this?", *["--image", str(picture)] * 5, folder=tmp_path)
    assert refused.exit_code == 1
    assert "at most 4 pictures" in refused.stderr
    refused = ask("What is this?", "--image", str(tmp_path / "none.jpg"), folder=tmp_path)
    assert refused.exit_code == 2
    assert not asked
    assert ask("What?", "--image", str(picture), folder=tmp_path).exit_code == 0
    assert len(asked) == 1
