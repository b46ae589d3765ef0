"""What a mesh writes can be read by its own user only, also where the umask would let others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mesh_process import running_mesh
from tests.requirements import need

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

WITH_UMASK = ("sh", "-c", 'umask 022 && exec "$0" "$@"', sys.executable, "-m", "cli")


def anima(data: Path, *arguments: str) -> None:
    subprocess.run(
        [*WITH_UMASK, *arguments],
        env={**os.environ, "ANIMA_DATA_DIR": str(data)},
        check=True,
        capture_output=True,
        text=True,
    )


def readable_by_others(folder: Path) -> dict[str, str]:
    """Returns the files of others' concern with their modes; a private folder hides its content."""
    found: dict[str, str] = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent) / name
            if path.is_symlink():
                continue
            mode = path.stat().st_mode & 0o777
            if mode & 0o077:
                found[str(path.relative_to(folder))] = f"{mode:o}"
    return found


def test_what_a_mesh_and_its_commands_write_is_private(tmp_path: Path) -> None:
    for model in ("encoder", "face-mesh", "astronaut"):
        need(model)
    written = tmp_path / "written"
    written.mkdir()
    written.chmod(0o755)
    document = tmp_path / "hours.txt"
    document.write_text("The office opens at nine o'clock on Mondays.")
    old = written / "old export.jsonl"
    old.write_text("")
    old.chmod(0o644)
    environment = {
        "ANIMA_TRACE_FILE": str(written / "traces" / "trace.jsonl"),
        "ANIMA_GATEWAY_TURN_LOG_DIR": str(written / "turns"),
    }
    with running_mesh(written, environment, command=WITH_UMASK) as mesh:
        data = written / "data"
        data.chmod(0o755)  # chosen by a person, so it stays as it is
        where = ("--gateway", mesh.gateway_address)
        memory = ("--memory", mesh.address("memory"))
        asked = ("--user", "ada", "--out", str(written / "answer.mp4"))
        anima(data, "ask", "My name is Ada. What can you do?", *asked, *where)
        consent = ("--name", "eileen", "--consent", "public domain")
        photo = data / "models" / "astronaut" / "astronaut.png"
        anima(data, "avatar", "create", str(photo), *consent)
        anima(data, "knowledge", "add", str(document), "--user", "ada", *memory)
        for name in ("export.jsonl", "old export.jsonl"):
            anima(data, "memory", "export", "ada", str(written / name), *memory)
        expected = {
            "data/memory",
            "data/gateway",
            "data/avatars/eileen/portrait.png",
            "traces",
            "turns",
            "answer.mp4",
            "export.jsonl",
        }
        present = {str(path.relative_to(written)) for path in written.rglob("*")}
        assert expected <= present
        assert readable_by_others(written) == {"data": "755"}
    assert readable_by_others(written) == {"data": "755"}
