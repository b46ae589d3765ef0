"""The script for machines with a GPU: the parts that run on a CPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.requirements import ROOT

SCRIPT = "scripts/gpu_llm_check.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    # a fresh environment: vLLM changes its own, and children would inherit that
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VLLM_", "ANIMA_"))
        and name not in ("LD_PRELOAD", "LD_LIBRARY_PATH")
    }
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    done = run("--model", str(tmp_path))
    assert done.returncode == 2
    assert "no config.json" in done.stderr


async def test_tests_and_benchmark_run_with_a_model(tiny: Path) -> None:
    """Tests only that they finish; their figures depend on the load of the machine."""
    done = run("--tiny", "--rounds", "1")
    assert re.search(r"\d passed", done.stdout), done.stdout[-3000:] + done.stderr[-3000:]
    assert not re.search(r"\d (failed|error)", done.stdout)
    assert '"added_first_token_ms"' in done.stdout
    assert "Exception ignored" not in done.stderr
