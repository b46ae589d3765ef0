"""A gate for many readers or one exclusive user."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from memory.service.faults import StoreError


class Gate:
    """Counts readers, and keeps new ones out while the files are needed exclusively."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._is_shut = False
        self._is_closed = False

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Waits until the gate is open, and counts as a reader within the block.

        Raises:
            StoreError: The gate is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or not self._is_shut)
            if self._is_closed:
                raise StoreError("the database is closed")
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def shut(self, *, timeout_s: float) -> Iterator[None]:
        """Keeps readers out within the block, which begins when the last reader has left.

        Raises:
            StoreError: Readers stay longer than the timeout; the gate is open again.
        """
        with self._changed:
            self._is_shut = True
            if not self._changed.wait_for(lambda: self._inside == 0, timeout_s):
                self._open()
                raise StoreError("the database is being read all the time")
        try:
            yield
        finally:
            with self._changed:
                self._open()

    def close(self) -> None:
        """Keeps readers out for ever; returns when the last reader has left."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._inside == 0)

    def _open(self) -> None:
        self._is_shut = False
        self._changed.notify_all()
