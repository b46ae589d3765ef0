"""Keeps space on the disk for erasing: without any, SQLite cannot delete rows either."""

import contextlib
import os
from pathlib import Path
from typing import Final

from services.runtime.observing.logs import get_logger

_SHARE_OF_FREE: Final = 4
"""On a small disk the reserve takes at most this part of the free space."""
_MIN_BYTES: Final = 256 * 1024


class Reserve:
    """A file that occupies space until something must be erased on a full disk. Thread-safe.

    Args:
        path: The file.
        max_bytes: Its size, if there is room enough; 0: there is no reserve.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self.size_bytes = 0
        self.is_released = False
        if max_bytes:
            self.hold()
        else:
            path.unlink(missing_ok=True)

    def hold(self) -> bool:
        """Occupies the space, if it is not occupied and there is room; returns whether it is."""
        if self._max_bytes and self._held_bytes() < max(self.size_bytes, _MIN_BYTES):
            if not self._occupy():
                return False
            if self.is_released:
                get_logger().info("the disk has room again: the memory stores again")
        self.is_released = False
        return True

    def release_if_needed(self) -> bool:
        """Removes the file if the disk has less room than its size; returns whether it did."""
        if not self.size_bytes or self._free_bytes() >= self.size_bytes:
            return False
        get_logger().warning(
            "the disk is full: the reserve is used to erase, and nothing is stored meanwhile",
            reserve_bytes=self.size_bytes,
        )
        self.is_released = True
        self._path.unlink(missing_ok=True)
        return True

    def _occupy(self) -> bool:
        free = self._free_bytes()
        size = self.size_bytes or min(self._max_bytes, free // _SHARE_OF_FREE)
        if size < _MIN_BYTES or free < size:
            return False
        try:
            file = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            try:
                os.posix_fallocate(file, 0, size)
            finally:
                os.close(file)
        except OSError as error:
            get_logger().warning("the disk has no room for the reserve", problem=error.strerror)
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            return False
        self.size_bytes = size
        return True

    def _held_bytes(self) -> int:
        try:
            held = self._path.stat().st_size
        except OSError:
            return 0
        self.size_bytes = self.size_bytes or min(held, self._max_bytes)
        return held

    def _free_bytes(self) -> int:
        found = os.statvfs(self._path.parent)
        return found.f_bavail * found.f_frsize
