"""The wheel alone: built from the sdist, installed by itself, started in an empty folder."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.mesh_process import running_mesh
from tests.requirements import ROOT, need

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(240)]

NOT_SOURCE = (".git", ".venv", ".cache", "node_modules", "build", "dist", "*.egg-info", ".*_cache")


def run(*command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PIP_NO_INDEX": "1", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", name="wheel")
def _wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the sdist of the working tree, and the wheel from the sdist alone."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*NOT_SOURCE, "__pycache__"))
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", build, folder, cwd=source)
    (sdist,) = folder.glob("anima-*.tar.gz")
    shutil.unpack_archive(sdist, folder / "unpacked")
    (unpacked,) = (folder / "unpacked").iterdir()
    options = ("--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "wheel", *options, "-w", folder, unpacked, cwd=folder)
    (wheel,) = folder.glob("anima-*.whl")
    return wheel


@pytest.fixture(scope="module", name="installed")
def _installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Installs the wheel where the dependencies are visible and the checkout is not."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    options = ("--no-deps", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A folder that a .pth file names is searched, but its own .pth files are not: one of them
    # names the checkout.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return folder / "bin"


def test_tests_and_benchmarks_stay_out_of_the_wheel(installed: Path) -> None:
    (packages,) = installed.parent.glob("lib/python*/site-packages")
    found = {path.name for path in packages.iterdir()}
    assert {"anima", "anima_data", "cli", "gateway", "memory", "services"} <= found
    assert not found & {"tests", "bench", "scripts", "build", "docs", "personas", "avatars"}


def test_what_comes_with_anima_is_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    where = "import gateway, services; print(gateway.__file__)"
    assert "site-packages" in run(installed / "python", "-c", where, cwd=tmp_path)
    assert "anima" in run(installed / "anima", "persona", "list", cwd=tmp_path)
    assert {"anima", "leo"} <= set(run(installed / "anima", "avatar", "list", cwd=tmp_path).split())
    wide = {"COLUMNS": "200"}
    checked = run(installed / "anima", "persona", "check", "anima", cwd=tmp_path, environment=wide)
    assert str(installed.parent) in checked


def test_a_persona_is_not_created_among_the_installed_files(
    installed: Path, tmp_path: Path
) -> None:
    create = [str(installed / "anima"), "persona", "create", "mine"]
    refused = subprocess.run(create, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "--folder" in refused.stderr
    run(*create, "--folder", "own", cwd=tmp_path)
    assert (tmp_path / "own" / "mine" / "persona.toml").is_file()


def test_up_in_an_empty_folder_answers(installed: Path, tmp_path: Path) -> None:
    need("encoder")
    empty = tmp_path / "empty"
    empty.mkdir()
    with running_mesh(tmp_path, command=[str(installed / "anima")], cwd=empty) as mesh:
        answer = run(
            *(installed / "anima", "ask", "Who are you?"),
            cwd=empty,
            environment={"ANIMA_GATEWAY": mesh.gateway_address},
        )
        assert "Anima" in answer
    assert not any(empty.iterdir())
