"""What is said about a model file that cannot be used."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from services.llm.engines.gguf.engine import GgufEngine
from services.llm.engines.gguf.worker import WorkerSettings
from services.runtime.config.settings import SettingsError
from services.runtime.errors import FailedPrecondition
from tests.unit.llm.gguf.conftest import opened, settings_for


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"ANIMA_LLM_MODEL.*none\.gguf: No such file"):
        async with opened(tmp_path / "none.gguf"):
            pass


async def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="Is a directory"):
        async with opened(tmp_path):
            pass


async def test_another_kind_of_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"{}      ")
    with pytest.raises(FailedPrecondition, match=r"model\.safetensors is no GGUF file"):
        async with opened(tmp_path / "model.safetensors"):
            pass


def beginning_of(whole: Path, share: float, beginning: Path) -> Path:
    content = whole.read_bytes()
    beginning.write_bytes(content[: int(len(content) * share)])
    return beginning


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.99])
async def test_a_broken_file_is_refused_with_the_reason(
    tmp_path: Path, tiny: Path, kept: float
) -> None:
    """The library refuses it, and its own words are passed on."""
    broken = beginning_of(tiny, kept, tmp_path / "broken.gguf")
    with pytest.raises(FailedPrecondition, match=r"cannot load .*broken\.gguf: .+") as caught:
        async with opened(broken):
            pass
    print(caught.value.message)
    assert caught.value.reason == "MODEL"


def test_a_model_must_be_set() -> None:
    with pytest.raises(SettingsError, match=r"ANIMA_LLM_MODEL: set the path"):
        GgufEngine(settings_for(""))


def test_a_missing_library_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'anima\[gguf\]'"):
        GgufEngine(settings_for("model.gguf"))


def test_the_process_ends_with_the_service_and_leaves_nothing(tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    settings = WorkerSettings(
        model=str(tiny),
        vision_model="",
        folder=str(folder),
        socket="model.sock",
        context_tokens=512,
        slots=1,
        threads=1,
        gpu_layers=0,
    )
    worker = subprocess.Popen(
        [sys.executable, "-m", "services.llm.engines.gguf.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps(asdict(settings)) + "\n")
        worker.stdin.flush()
        assert json.loads(worker.stdout.readline()) == {"failure": ""}
        assert (folder / "model.sock").is_socket()
        for number in (signal.SIGINT, signal.SIGTERM):  # as a terminal sends them to all
            worker.send_signal(number)
        worker.stdin.close()
        assert worker.wait() == 0
    assert not folder.exists()
