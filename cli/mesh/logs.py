"""The log files of a mesh: one file per member, limited by rotation."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import BinaryIO, Final

from services.runtime.process.private_files import make_private

MAX_BYTES: Final = 16 * 1024 * 1024
"""A larger log is rotated."""
KEPT: Final = 3
"""How many older logs are kept: `<name>.log.1` is the latest of them."""

_MOST_TIMES: Final = 2
_PIECE_BYTES: Final = 1024 * 1024
_TAIL_BYTES: Final = 64 * 1024


class LogFile:
    """The log of one member.

    Args:
        folder: The folder of the logs.
        name: The member.
        max_bytes: The size above which `limit` rotates.
    """

    def __init__(self, folder: Path, name: str, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = folder / f"{name}.log"
        self._max_bytes = max_bytes

    def begin(self) -> None:
        """Starts the log of a new mesh: the previous one becomes `<name>.log.1`."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._size() > 0:
            self._make_room()
            self.path.replace(self._older(1))

    def open(self) -> BinaryIO:
        """Opens the log for a process. Append mode lets `limit` truncate the open file."""
        file = self.path.open("ab")
        make_private(file)
        return file

    def limit(self) -> None:
        """Rotates the log if it is too large, while its process keeps writing.

        The process has the file open, so the content is copied and the file truncated; lines
        written in between are lost. Of a log that has grown to more than twice the limit meanwhile,
        only the end is kept.
        """
        size = self._size()
        if size <= self._max_bytes:
            return
        self._make_room()
        # Not until the end of the file: a process that writes as fast as this copies would never
        # let it end.
        with self.path.open("rb") as log, self._older(1).open("wb") as older:
            make_private(older)
            log.seek(max(0, size - _MOST_TIMES * self._max_bytes))
            left = min(size, _MOST_TIMES * self._max_bytes)
            while left > 0 and (piece := log.read(min(left, _PIECE_BYTES))):
                older.write(piece)
                left -= len(piece)
        os.truncate(self.path, 0)

    def tail(self, lines: int) -> str:
        """Returns the last lines; for a structured line only its message."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self._size() - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(_in_words(line) for line in text.splitlines()[-lines:])

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _make_room(self) -> None:
        for number in range(KEPT, 1, -1):
            with contextlib.suppress(FileNotFoundError):
                self._older(number - 1).replace(self._older(number))


def _in_words(line: str) -> str:
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    if not isinstance(fields, dict):
        return line
    return str(fields.get("message") or fields.get("event") or line)
