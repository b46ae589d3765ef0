"""An engine in somebody else's package: the template under docs/ is built, installed and used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.requirements import ROOT

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(240)]

TEMPLATE = ROOT / "docs" / "engine-template"


def run(*command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", name="template")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template: building leaves files beside its source."""
    return Path(shutil.copytree(TEMPLATE, tmp_path_factory.mktemp("template") / "morse"))


@pytest.fixture(scope="module", name="packages")
def _packages(template: Path) -> Path:
    """A folder with the built template and nothing else, to be put on the path of Python."""
    folder = template.parent / "packages"
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run(
        *(sys.executable, "-m", "pip", "install", "-q", *options, "--target", folder, template),
        cwd=template,
    )
    return folder


def test_the_engine_is_found_where_its_package_is_installed(packages: Path, tmp_path: Path) -> None:
    code = "from services.runtime.engines import engine_names; print(engine_names('tts'))"
    command = (sys.executable, "-c", code)
    assert "morse" not in run(*command, cwd=tmp_path)
    assert "morse" in run(*command, cwd=tmp_path, environment={"PYTHONPATH": str(packages)})


def test_the_service_speaks_with_the_engine_and_conforms(packages: Path, template: Path) -> None:
    environment = {"PYTHONPATH": str(packages), "CHECKOUT_OF_ANIMA": str(ROOT)}
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    answer = run(*command, cwd=template, environment=environment)
    assert " passed" in answer
    assert "skipped" not in answer
