"""A gateway whose answers click, with the test card for a face, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from services.avatar.servicer import build
from services.avatar.settings import AvatarSettings
from services.runtime.server import serving
from tests.e2e.test_flash_and_click import ClickingTts
from tests.fakes.mesh import FakeMesh
from tests.unit.web.clients import serving_page

START_TIMEOUT_S = 20


CLICKS = "Here are some clicks, and then some more. And the last ones."


@contextmanager
def clicking_gateway(*, answer: str = CLICKS, **changes: str) -> Iterator[str]:
    """Gives the address of its page.

    Args:
        answer: what every question is answered with; a sentence takes 2.6 s.
        changes: settings of the gateway.
    """
    ready = threading.Event()
    started: dict[str, object] = {}

    async def serve() -> None:
        settings = AvatarSettings(listen="127.0.0.1:0", engine="testcard")
        stop = asyncio.Event()
        async with FakeMesh() as fake, serving(build(settings), settings) as testcard:
            await testcard.ready
            await fake.stop("tts")
            fake.tts = ClickingTts()
            await fake.start("tts")
            fake.llm.answer = [answer]
            async with (
                fake.mesh(avatar_target=testcard.address, **changes) as mesh,
                serving_page(mesh) as page,
            ):
                started.update(
                    address=f"http://{page.address}/", loop=asyncio.get_running_loop(), stop=stop
                )
                ready.set()
                await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    if not ready.wait(START_TIMEOUT_S):
        raise AssertionError("the gateway did not start")
    loop, stop = started["loop"], started["stop"]
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert isinstance(stop, asyncio.Event)
    try:
        yield str(started["address"])
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_TIMEOUT_S)
