"""Compute runs in threads of its own, never on the event loop.

A handler that blocks the loop looks healthy to gRPC's keepalive (the C core answers pings on its
own threads) while every stream of the process stands still; so everything above a millisecond goes
through here.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Compute:
    """A bounded set of threads for the compute of one stage."""

    def __init__(self, *, threads: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a thread and return what it returns.

        Trace and log context go with it. When the caller is cancelled, a function that has begun
        runs to its end unwatched; one that still waits for a thread is dropped.
        """
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor, lambda: context.run(function, *args, **kwargs)
        )

    async def stream(
        self, produce: Callable[[Callable[[T], bool]], None], *, max_buffered: int = 8
    ) -> AsyncGenerator[T, None]:
        """Read what a producer in a thread pushes.

        Args:
            produce: Runs in a thread that it holds until it returns. It calls `emit(item)`, which
                blocks while `max_buffered` items wait for the reader and returns False once the
                reader is gone; then it should return soon.
            max_buffered: The most items that wait.

        Yields:
            The items in order.

        Raises:
            Exception: What the producer raised, after the items that it had emitted before.
        """
        pipe: _Pipe[T] = _Pipe(asyncio.get_running_loop(), max_buffered)
        context = contextvars.copy_context()
        future = self._executor.submit(context.run, pipe.run, produce)
        try:
            while True:
                item = await pipe.get()
                if isinstance(item, _End):
                    if item.error is not None:
                        raise item.error
                    return
                yield item
        finally:
            future.cancel()
            pipe.close()

    def close(self) -> None:
        """Take no more work; what still waits is dropped, what runs is not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Pipe(Generic[T]):
    """A bounded buffer from a thread to the loop; its writer never stays blocked after `close`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_buffered: int) -> None:
        self._loop = loop
        self._items: asyncio.Queue[T | _End] = asyncio.Queue()
        self._places = threading.Semaphore(max_buffered)
        self._closed = False

    def run(self, produce: Callable[[Callable[[T], bool]], None]) -> None:
        error: BaseException | None = None
        try:
            produce(self.emit)
        except BaseException as raised:  # it is raised again in the reader
            error = raised
        self._put(_End(error))

    def emit(self, item: T) -> bool:
        self._places.acquire()
        if self._closed:
            self._places.release()  # passes the wake-up on to the next caller
            return False
        return self._put(item)

    async def get(self) -> T | _End:
        item = await self._items.get()
        self._places.release()
        return item

    def close(self) -> None:
        self._closed = True
        self._places.release()

    def _put(self, item: T | _End) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:  # the loop has ended, and the reader with it
            return False
        return True
