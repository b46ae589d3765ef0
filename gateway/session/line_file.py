"""A file of lines, written in its own thread so that a slow disk delays no caller."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

from services.runtime.observing.logs import get_logger
from services.runtime.process.private_files import make_private

_MAX_WAITING = 10_000


class LineFile:
    """Appends lines to a new file.

    Lines that cannot be written are lost and logged once; the caller is not notified and never
    waits.

    Args:
        path: The file; it and its folder are created. It must not exist.
        max_waiting: The most lines that may wait for the disk; further ones are dropped.
    """

    def __init__(self, path: Path, *, max_waiting: int = _MAX_WAITING) -> None:
        self._path = path
        self._max_waiting = max_waiting
        self._waiting: deque[str] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name=f"lines {path.name}", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Adds a line, without a line break."""
        with self._changed:
            if self._closed or len(self._waiting) >= self._max_waiting:
                self._dropped += 1
                return
            self._waiting.append(line)
            self._changed.notify()

    def close(self) -> None:
        """Closes the file after the waiting lines; does not wait for the disk."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self) -> None:
        """Blocks until a closed file has been written."""
        self._thread.join()

    def _run(self) -> None:
        try:
            # It holds what people say.
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Line-buffered, so that a recording is complete up to a crash.
            with self._path.open("x", buffering=1) as file:
                make_private(file)
                while lines := self._next():
                    for line in lines:
                        file.write(line + "\n")
        except OSError as error:
            get_logger().error("lines are lost", file=self._path.name, problem=str(error))
            self.close()
        if self._dropped:
            get_logger().warning("lines were dropped", file=self._path.name, count=self._dropped)

    def _next(self) -> list[str]:
        """Waits for lines and returns them; none: the file is closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            lines = list(self._waiting)
            self._waiting.clear()
            return lines
