"""One thread that owns a C library with global state.

eSpeak NG keeps everything in globals, and flite's statistical voices draw their noise from libc's
rand(). Both are some hundred times faster than real time, so all streams share one thread. A job
computes into memory and never waits for a slow reader, which waits in its own thread.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class _Job(Generic[T]):
    def __init__(self, produce: Callable[[Callable[[T], bool]], None]) -> None:
        self.produce = produce
        self.items: queue.SimpleQueue[T | BaseException | None] = queue.SimpleQueue()
        self.cancelled = False

    def emit(self, item: T) -> bool:
        self.items.put(item)
        return not self.cancelled

    def run(self) -> None:
        try:
            if not self.cancelled:
                self.produce(self.emit)
        except BaseException as error:
            # Passed to the thread that reads the job, which raises it.
            self.items.put(error)
        else:
            self.items.put(None)


class LibraryThread(Generic[T]):
    """Runs jobs one after the other; jobs must be short, because all other jobs wait for them."""

    def __init__(self, *, name: str) -> None:
        self._jobs: queue.SimpleQueue[_Job[T] | None] = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()

    def stream(self, produce: Callable[[Callable[[T], bool]], None]) -> Iterator[T]:
        """Yields the items that `produce` emits on the library's thread, as they arrive.

        Closing the iterator makes the next `emit` return False. An error of `produce` is raised
        here.

        Raises:
            RuntimeError: The thread has been closed.
        """
        job = _Job(produce)
        with self._closing:
            if self._closed:
                raise RuntimeError(f"the thread {self._thread.name} is closed")
            self._jobs.put(job)
        try:
            while (item := job.items.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            job.cancelled = True

    def close(self) -> None:
        """Ends the thread after the pending jobs."""
        with self._closing:
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
