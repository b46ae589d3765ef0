"""A gateway whose answers click, with the test card for a face, in a thread of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from services.avatar.servicer import build
from services.avatar.settings import AvatarSettings
from services.runtime.server import serving
from testing.fakes.mesh import FakeMesh
from tests.e2e.test_flash_and_click import ClickingTts
from tests.unit.web.clients import serving_page
from tests.web.served import served

CLICKS = "Here are some clicks, and then some more. And the last ones."


@contextmanager
def clicking_gateway(*, answer: str = CLICKS, **changes: str) -> Iterator[str]:
    """Yields the address of its page.

    Args:
        answer: what every question is answered with; a sentence takes 2.6 s.
        changes: settings of the gateway.
    """

    @asynccontextmanager
    async def clicking() -> AsyncIterator[str]:
        settings = AvatarSettings(listen="127.0.0.1:0", engine="testcard")
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
                yield f"http://{page.address}/"

    with served(clicking) as address:
        yield address
