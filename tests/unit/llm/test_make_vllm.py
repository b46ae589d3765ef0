"""`make test-vllm` without its environment: reported, and an error if a run requires all tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.requirements import ROOT


@pytest.mark.parametrize(("required", "fails"), [("", False), ("0", False), ("1", True)])
def test_what_cannot_run_is_said(tmp_path: Path, required: str, fails: bool) -> None:
    done = subprocess.run(
        ["make", "test-vllm", f"VLLM_ENV={tmp_path / 'env'}", "PYTHON=false"],
        cwd=ROOT,
        env=os.environ | {"ANIMA_REQUIRE_ALL": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "NOT RUN: tests/vllm" in done.stdout
    assert (done.returncode != 0) is fails


def test_a_dry_run_makes_nothing(tmp_path: Path) -> None:
    environment = tmp_path / "env"
    done = subprocess.run(
        ["make", "-n", "test", f"VLLM_ENV={environment}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pytest tests/vllm" in done.stdout
    assert not environment.exists()
