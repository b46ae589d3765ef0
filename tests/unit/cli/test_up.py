"""`anima up` reports in one sentence why a mesh cannot start, before it starts anything."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from cli.mesh import up as up_module
from cli.mesh.models import missing_models, pull_command, warn_about
from memory.settings import MemorySettings
from memory.sqlite.folder_lock import lock
from services.avatar.settings import AvatarSettings
from services.llm.settings import LlmSettings
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelState
from tests.mesh_process import free_first_port
from tests.requirements import need


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> Any:
        raise AssertionError("the mesh was started")

    monkeypatch.setattr(up_module, "Supervisor", refuse)


def up(*arguments: str, folder: Path, **environment: str) -> Result:
    runner = CliRunner(env={"COLUMNS": "300", "ANIMA_DATA_DIR": str(folder), **environment})
    where = () if "--first-port" in arguments else ("--first-port", str(free_first_port()))
    return runner.invoke(app, ["up", "--logs", str(folder / "logs"), *where, *arguments])


def problem_of(result: Result) -> str:
    assert result.exit_code == 1, result.output
    first, *rest = result.stderr.splitlines()
    assert first.startswith("Error: ")
    assert len(rest) <= 1, "one sentence, and one that says what to do"
    assert "{" not in result.stderr
    return first.removeprefix("Error: ")


@pytest.mark.parametrize(
    ("http", "problem"),
    [
        ("localhost", "--http: 'localhost' has no port, write localhost:8080"),
        ("99999", "--http: 99999 is not a port, the largest is 65535"),
        ("example.invalid:8099", "the host example.invalid is unknown."),
        ("::1:8099", "--http: an IPv6 address needs brackets, write [::1]:8099"),
        (":8099", "--http: ':8099' has no host, write 127.0.0.1:8099 or, for every"),
        ("192.0.2.7:8099", "192.0.2.7 is not an address of this machine."),
        ("0.0.0.0:8099", "--http: 0.0.0.0:8099 can be reached by others"),
        ("https://localhost:8099", "--http: https:// cannot be used here"),
    ],
)
def test_a_wrong_address(tmp_path: Path, http: str, problem: str) -> None:
    assert problem in problem_of(up("--http", http, folder=tmp_path))


def test_the_page_at_the_port_of_a_stage(tmp_path: Path) -> None:
    port = free_first_port()
    result = up("--http", str(port + 2), "--first-port", str(port), folder=tmp_path)
    assert f"127.0.0.1:{port + 2} is used for both llm and the page." in problem_of(result)


def test_metrics_of_all_services_at_one_address(tmp_path: Path) -> None:
    result = up("--http", "127.0.0.1:0", folder=tmp_path, ANIMA_METRICS_LISTEN="127.0.0.1:9109")
    assert "127.0.0.1:9109 is used for both the metrics of" in problem_of(result)
    assert "ANIMA_<STAGE>_METRICS_LISTEN" in result.stderr


@pytest.mark.parametrize("port", ["70000", "65533", "80", "-5"])
def test_a_first_port_out_of_range(tmp_path: Path, port: str) -> None:
    problem = problem_of(up("--first-port", port, folder=tmp_path))
    assert problem == f"--first-port: {port} is not in 1024 to 65530."


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    port = free_first_port()
    with socket.create_server(("127.0.0.1", port + 3)):
        result = up("--first-port", str(port), "--http", str(port + 8), folder=tmp_path)
    assert f"127.0.0.1:{port + 3}: already in use." in problem_of(result)


def test_the_data_of_another_mesh(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    with lock(tmp_path / "memory"):
        problem = problem_of(up("--http", "127.0.0.1:0", folder=tmp_path))
    assert problem == f"another mesh uses the data in {tmp_path}."


def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    problem = problem_of(up("--http", "127.0.0.1:0", folder=tmp_path / "file"))
    assert problem == f"{tmp_path / 'file' / 'memory'} cannot be written: Not a directory."


def test_wrong_and_unknown_variables(tmp_path: Path) -> None:
    result = up(
        "--http",
        "127.0.0.1:0",
        folder=tmp_path,
        ANIMA_CAPACITY="many",
        ANIMA_GATEWAY_LEED_MS="1",
        ANIMA_LLM_TEMPRATURE="1",
    )
    problem = problem_of(result)
    assert problem.count("ANIMA_CAPACITY: ") == 1
    assert "ANIMA_GATEWAY_LEED_MS is not a setting; did you mean ANIMA_GATEWAY_LEAD_MS?" in problem
    assert "ANIMA_LLM_TEMPRATURE is not a setting; did you mean ANIMA_LLM_TEMPERATURE?" in problem


def test_a_log_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    problem = problem_of(up("--http", "127.0.0.1:0", folder=tmp_path))
    assert problem == f"{tmp_path / 'logs'} cannot be written: File exists."


def settings_in(folder: Path, **memory: Any) -> dict[str, ServiceSettings]:
    return {
        "llm": LlmSettings(data_dir=folder, **memory),
        "memory": MemorySettings(data_dir=folder, **memory),
        "avatar": AvatarSettings(data_dir=folder),
    }


def test_missing_models_are_named_with_the_command_that_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = missing_models(settings_in(tmp_path))
    assert [each.name for each in missing] == ["face-mesh", "minilm-l6-v2", "multilingual-e5-small"]
    monkeypatch.delenv("ANIMA_DATA_DIR", raising=False)
    assert pull_command(missing) == "anima models pull face-mesh minilm-l6-v2 multilingual-e5-small"
    monkeypatch.setenv("ANIMA_DATA_DIR", "/my data")
    warn_about(missing)
    printed = capsys.readouterr().err
    assert f"The model multilingual-e5-small is missing in {tmp_path / 'models'}" in printed
    assert (
        "ANIMA_DATA_DIR='/my data' anima models pull face-mesh minilm-l6-v2 multilingual-e5-small"
        in printed
    )


def test_a_model_that_nobody_uses_is_not_missed(tmp_path: Path) -> None:
    missing = missing_models(settings_in(tmp_path, embedding_model="none"))
    assert [each.name for each in missing] == ["face-mesh"]


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "models" / "multilingual-e5-small").mkdir(parents=True)
    states = {each.name: each.state for each in missing_models(settings_in(tmp_path))}
    assert states["multilingual-e5-small"] == ModelState.DAMAGED


def test_nothing_is_said_when_all_models_are_here(capsys: pytest.CaptureFixture[str]) -> None:
    need("encoder")
    folder = ServiceSettings.from_environment().data_dir
    warn_about(missing_models({"memory": MemorySettings(data_dir=folder)}))
    assert capsys.readouterr().err == ""
