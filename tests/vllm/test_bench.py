"""The benchmark of the language model stage runs in its shortest form."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.requirements import ROOT


@pytest.mark.long
def test_llm() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.llm", "--rounds", "1", "--tokens", "64", "--no-goals"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = json.loads(ran.stdout.splitlines()[-1])
    assert figures.keys() == {"added_first_token_ms", "rate_share", "stop_ms"}
    assert figures["rate_share"] > 0
    assert figures["stop_ms"] > 0
