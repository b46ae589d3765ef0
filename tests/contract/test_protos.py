"""The wire contract: well-formed, compatible with past releases, and equal to the stubs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.requirements import BUF, ROOT, need

PROTOS = ROOT / "protos"
RELEASED = PROTOS / "anima-v1.binpb"


def run_buf(*arguments: str) -> None:
    """Runs buf in the folder of the protos and fails with its output."""
    need("node")
    done = subprocess.run(
        [str(BUF), *arguments], cwd=PROTOS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_protos_pass_lint() -> None:
    run_buf("lint")


def test_protos_are_formatted() -> None:
    run_buf("format", "--diff", "--exit-code")


def test_protos_break_nothing_that_was_released() -> None:
    if not RELEASED.exists():
        pytest.skip("nothing has been released yet: there is no protos/anima-v1.binpb")
    run_buf("breaking", "--against", str(RELEASED))


def test_breaking_change_is_noticed(tmp_path: Path) -> None:
    released = tmp_path / "released.binpb"
    changed = tmp_path / "protos"
    run_buf("build", "-o", str(released))
    for proto in PROTOS.rglob("*.proto"):
        copy = changed / proto.relative_to(PROTOS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(proto.read_text().replace("string turn_id = 1;", "string turn_id = 99;"))
    (changed / "buf.yaml").write_text((PROTOS / "buf.yaml").read_text())
    done = subprocess.run(
        [str(BUF), "breaking", "--against", str(released)],
        cwd=changed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "turn_id" in done.stdout


@pytest.mark.timeout(300)
def test_stubs_are_what_the_protos_generate(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "gen_protos.py"), "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert tree(tmp_path / "anima") == tree(ROOT / "anima"), "run: python scripts/gen_protos.py"


def tree(folder: Path) -> dict[str, bytes]:
    """Returns every file of a folder by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
