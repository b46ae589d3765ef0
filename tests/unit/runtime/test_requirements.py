"""A test run reports what it has not run, and how to install missing requirements."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.requirements import REQUIREMENTS, ROOT

MISSING_MODEL = """
import pytest

from tests.figures import report
from tests.requirements import need

@pytest.mark.parametrize("number", [1, 2, 3])
def test_that_measures(number):
    report(f"figure {number}")

def test_that_needs_a_model():
    need("minilm")
"""


def run_pytest(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a test that needs a model with a model store that is empty."""
    test = folder / "test_missing.py"
    test.write_text(MISSING_MODEL)
    empty = folder / "pytest.ini"
    empty.write_text("[pytest]\n")
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.conftest"),
            *("-c", str(empty), *arguments, str(test)),
        ],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if name != "ANIMA_REQUIRE_ALL"},
            "ANIMA_DATA_DIR": str(folder),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("-p", "xdist.plugin", "-n", "2")])
def test_missing_requirement_is_skipped_and_listed(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = run_pytest(tmp_path, *arguments)
    assert done.returncode == 0, done.stdout
    for figure in ("figure 1", "figure 2", "figure 3"):
        assert done.stdout.count(figure) == 1
    assert "NOT RUN:" in done.stdout
    assert "minilm (1 test): run: anima models pull minilm-l6-v2" in done.stdout


def test_missing_requirement_fails_a_complete_run(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, ANIMA_REQUIRE_ALL="1")
    assert done.returncode == 1, done.stdout
    assert "minilm is missing; run: anima models pull minilm-l6-v2" in done.stdout


@pytest.mark.parametrize("name", sorted(REQUIREMENTS))
def test_every_requirement_says_how_to_get_it(name: str) -> None:
    assert isinstance(REQUIREMENTS[name].present(), bool)
    ways = (
        "apt-get install ",
        "pip install ",
        "run: anima ",
        "run: make ",
        "a kernel that allows ",
    )
    assert REQUIREMENTS[name].how_to_get.startswith(ways)
