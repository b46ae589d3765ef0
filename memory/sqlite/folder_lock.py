"""The lock of a data folder, which one memory service holds at a time."""

import fcntl
from pathlib import Path
from typing import IO, Final

from memory.service.faults import StoreError

LOCK_NAME: Final = "memory.lock"


def lock(folder: Path) -> IO[bytes]:
    """Acquires the lock of a folder, which is held until the file is closed.

    Raises:
        StoreError: Another process holds it.
        OSError: The folder cannot be written.
    """
    path = folder / LOCK_NAME
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StoreError(f"{path.parent} is used by another memory service") from None
    except BaseException:
        file.close()
        raise
    return file
