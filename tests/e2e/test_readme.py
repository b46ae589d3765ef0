"""The README's commands and its Python example, run unchanged."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

from services.runtime.config.settings import CHECKOUT
from tests.mesh_process import MeshProcess
from tests.requirements import need
from tests.synthesis import RATE_HZ, spoken

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

README = (CHECKOUT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[str]:
    lines = "".join(blocks("sh")).splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.startswith(program)]


def run(command: str, folder: Path, mesh: MeshProcess) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "ANIMA_GATEWAY": mesh.gateway_address,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    ended = subprocess.run(
        shlex.split(command.replace("localhost:8080", mesh.http_address)),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stderr}"
    return ended


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with wave.open(str(tmp_path / "question.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(spoken("What can you do?").astype("<i2").tobytes())
    picture = np.full((90, 160, 3), 200, np.uint8)
    assert cv2.imwrite(str(tmp_path / "photo.jpg"), picture)
    return tmp_path


@pytest.mark.parametrize("command", [*commands("anima"), *commands("curl")])
def test_a_command_does_what_it_says(command: str, folder: Path, mesh: MeshProcess) -> None:
    if command.startswith("curl"):
        need("curl")
    run(command, folder, mesh)
    for option in ("--out", "--json", "--output"):
        words = shlex.split(command)
        if option in words and not words[words.index(option) + 1].startswith("{"):
            assert (folder / words[words.index(option) + 1]).stat().st_size > 1000


def test_the_make_targets_exist() -> None:
    make = shutil.which("make")
    assert make is not None
    assert len(commands("make")) >= 2
    for command in commands("make"):
        subprocess.run([make, "-n", *shlex.split(command)[1:]], cwd=CHECKOUT, check=True)


def test_the_python_example_answers(folder: Path, mesh: MeshProcess) -> None:
    (example,) = blocks("python")
    script = folder / "example.py"
    script.write_text(example.replace("127.0.0.1:50050", mesh.gateway_address))
    printed = run(f"{shlex.quote(sys.executable)} {script}", folder, mesh).stdout
    frames, samples = map(int, re.findall(r"(\d+) frames with (\d+) samples", printed)[0])
    assert frames > 25
    assert samples > 24_000


def test_every_link_to_a_file_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (CHECKOUT / target).exists(), target
