"""Runs the services of a page in a thread, next to Playwright's synchronous interface."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

_TIMEOUT_S = 60.0


@contextmanager
def served(site: Callable[[], AbstractAsyncContextManager[str]]) -> Iterator[str]:
    """Enters an asynchronous context in a thread of its own.

    Args:
        site: Makes the context; its value is the address of a page.

    Yields:
        The address.
    """
    entered = threading.Event()
    leave = asyncio.Event()
    loop = asyncio.new_event_loop()
    address = ""

    async def serve() -> None:
        nonlocal address
        async with site() as address:
            entered.set()
            await leave.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not entered.wait(_TIMEOUT_S):
        raise AssertionError("the gateway did not start")
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(leave.set)
        thread.join(_TIMEOUT_S)
