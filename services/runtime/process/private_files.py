"""Keeps what a process writes readable by its own user only."""

from __future__ import annotations

import os
import stat
from io import UnsupportedOperation
from pathlib import Path
from typing import IO, Final

from services.runtime.observing.logs import get_logger

PRIVATE_UMASK: Final = 0o077
_OF_OTHERS: Final = 0o077


def keep_private() -> None:
    """Makes all files and folders that this process and its children create private."""
    os.umask(PRIVATE_UMASK)


def tighten(folder: Path) -> None:
    """Takes the access of other users to a folder away, if it exists and they have any.

    Only for folders that belong to Anima alone, never for one that a person chose. A folder that
    cannot be changed, because it belongs to another user, is logged.
    """
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & _OF_OTHERS:
            return
        folder.chmod(mode & ~_OF_OTHERS)
    except FileNotFoundError:
        return
    except OSError as error:
        get_logger().warning(
            "other users of this machine can read personal data",
            folder=str(folder),
            problem=error.strerror,
            remedy=f"chmod 700 {folder}",
        )
        return
    get_logger().warning(
        "other users of this machine could read personal data; now they cannot",
        folder=str(folder),
        mode_before=f"{mode:o}",
    )


def make_private(file: IO[str] | IO[bytes] | int) -> None:
    """Takes the access of other users to an open file away; devices and pipes stay as they are."""
    try:
        descriptor = file if isinstance(file, int) else file.fileno()
    except UnsupportedOperation:  # it is in memory
        return
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
        os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & ~_OF_OTHERS)


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner can read, also if it existed before with another mode.

    Raises:
        OSError: It cannot be written.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        make_private(file)
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.truncate(0)
        file.write(content)
