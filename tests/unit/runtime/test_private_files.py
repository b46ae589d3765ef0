"""Files and folders that other users could read become private."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from services.runtime.process.private_files import make_private, tighten, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_existing_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "avatars"
    tighten(folder)  # it need not exist
    folder.mkdir()
    folder.chmod(0o755)
    tighten(folder)
    assert mode(folder) == 0o700


def test_a_written_file_is_private_also_if_it_was_there(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_bytes(b"a longer content")
    old.chmod(0o664)
    for path in (new, old):
        write_private(path, b"short")
        assert path.read_bytes() == b"short"
        assert mode(path) == 0o600


def test_devices_and_pipes_stay_as_they_are() -> None:
    before = mode(Path("/dev/null"))
    with Path("/dev/null").open("wb") as file:
        make_private(file)
    write_private(Path("/dev/null"), b"x")
    read, write = os.pipe()
    make_private(write)
    os.close(read)
    os.close(write)
    assert mode(Path("/dev/null")) == before
