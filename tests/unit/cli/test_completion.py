"""The shell completes commands, options and names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def completed(line: str) -> list[str]:
    """Returns bash's completions for the last word of a line."""
    words = line.split(" ")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("anima"))],
        env={
            **os.environ,
            "_ANIMA_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("anima kn", ["knowledge"]),
        ("anima ask --ga", ["--gateway"]),
        ("anima memory fo", ["forget"]),
        ("anima models pull mini", ["minilm-l6-v2"]),
        ("anima persona check an", ["anima"]),
        ("anima token k", ["key"]),
        ("anima token new --role op", ["operator"]),
    ],
)
def test_bash_is_offered(line: str, offered: list[str]) -> None:
    assert completed(line) == offered
