"""The tests go on when one of their processes crashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFTEST = """
from tests import workers


def pytest_xdist_make_scheduler(config, log):
    return workers.scheduler(config, log)
"""
CRASHES = """
import os


def test_crashes():
    os._exit(3)
"""
PASSES = """
import pytest


@pytest.mark.parametrize("number", range({count}))
def test_passes(number):
    pass
"""
ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path) -> str:
    """Returns what two processes print that run the tests of a folder."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\n")
    options = ["-q", "-n", "2", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    # A run that never ends is what this is about: `timeout` only ends it.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "."],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    return done.stdout


def test_every_other_test_runs_once_after_a_crash(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"test_before_{number}.py").write_text(PASSES.format(count=2))
    (tmp_path / "test_crash.py").write_text(CRASHES + PASSES.format(count=3))
    for number in range(8):
        (tmp_path / f"test_later_{number}.py").write_text(PASSES.format(count=1 + number % 2))
    output = run(tmp_path)
    assert "1 failed, 31 passed" in output
    assert output.count("crashed while running 'test_crash.py::test_crashes'") == 1


def test_a_crash_at_the_very_end_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(PASSES.format(count=3))
    (tmp_path / "test_b.py").write_text(PASSES.format(count=2) + CRASHES)
    assert "1 failed, 5 passed" in run(tmp_path)
