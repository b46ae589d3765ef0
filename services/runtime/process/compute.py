"""Runs computation in separate threads, never on the event loop.

A handler that blocks the loop looks healthy to gRPC's keepalive (the C core answers pings on its
own threads) while every stream of the process stalls. So all work above a millisecond goes through
this module.
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
    """A bounded pool of threads for the computation of one stage."""

    def __init__(self, *, threads: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a function in a thread and returns its result.

        Trace and log context are passed along. If the caller is cancelled, a function that has
        started runs to its end in the background; one that still waits for a thread is dropped.
        """
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor, lambda: context.run(function, *args, **kwargs)
        )

    async def stream(
        self, produce: Callable[[Callable[[T], bool]], None], *, max_buffered: int = 8
    ) -> AsyncGenerator[T, None]:
        """Yields the items that a producer pushes from a thread.

        Args:
            produce: Runs in a thread, which it occupies until it returns. It calls
                `emit(item)`, which
                blocks while `max_buffered` items wait for the reader and returns False once the
                reader is gone; `produce` should then return soon.
            max_buffered: The maximum number of waiting items.

        Yields:
            The items in order.

        Raises:
            Exception: Any error of the producer, after the items emitted before it.
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
        """Accepts no more work; waiting work is dropped, and running work is not awaited."""
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
        except BaseException as raised:  # it is re-raised in the reader
            error = raised
        self._put(_End(error))

    def emit(self, item: T) -> bool:
        self._places.acquire()
        if self._closed:
            self._places.release()  # wakes up the next caller
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
