"""A picture that a person pastes, drops or chooses on the page, and the question about it."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload

from anima.llm.v1 import llm_pb2 as llm
from testing.fakes.mesh import FakeMesh
from tests.unit.web.clients import serving_page
from tests.web.served import served
from tests.web.talking import Talk, open_page

pytestmark = pytest.mark.browser

SIZE = (1280, 800)
# As a browser does it for a picture in the clipboard, or for a file that is dropped.
HAND_OVER = """([kind, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "shot.png", { type: "image/png" }));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
    : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.getElementById("question").dispatchEvent(event);
}"""
WAITING = "document.querySelectorAll('#pictures li').length"


def png(colour: str = "red", size: tuple[int, int] = (2_000, 1_000)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


@contextmanager
def page_with(browser: Browser, locale: str = "en-US") -> Iterator[tuple[FakeMesh, Talk]]:
    fakes: list[FakeMesh] = []

    @asynccontextmanager
    async def site() -> AsyncIterator[str]:
        async with FakeMesh() as fake, fake.mesh() as mesh, serving_page(mesh) as page:
            fakes.append(fake)
            yield f"http://{page.address}/?media=ws"

    with served(site) as address, open_page(browser, address, SIZE, locale) as talk:
        yield fakes[0], talk


def hand_over(talk: Talk, kind: str, data: bytes) -> None:
    talk.evaluate(HAND_OVER, [kind, base64.b64encode(data).decode()])


def seen(config: llm.GenerateConfig) -> list[tuple[tuple[int, int], str]]:
    """Size and main colour of the pictures that the model was given."""
    found = []
    for each in config.pictures:
        image = Image.open(io.BytesIO(each.jpeg)).convert("RGB")
        red, _, blue = image.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
        found.append((image.size, "red" if red > blue else "blue"))
    return found


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_picture_is_shown_with_the_question(browser: Browser, kind: str) -> None:
    with page_with(browser) as (fake, talk):
        hand_over(talk, kind, png())
        talk.until(f"{WAITING} === 1")
        talk.ask("What is this?")
        talk.until("document.querySelectorAll('.message.them').length === 1")
        talk.until_idle()
        (config,) = fake.llm.configs
        assert config.question == "What is this?"
        assert seen(config) == [((1280, 640), "red")]
        assert talk.page.is_hidden("#pictures")
        assert talk.page.locator(".message.me img.shown").count() == 1
        assert not talk.complaints


def test_a_chosen_picture_without_words_asks_what_it_is(browser: Browser) -> None:
    with page_with(browser, "zh-CN") as (fake, talk):
        file: FilePayload = {"name": "photo.png", "mimeType": "image/png", "buffer": png("blue")}
        talk.page.set_input_files("#picture-file", [file, file | {"buffer": png()}])
        talk.until(f"{WAITING} === 2")
        talk.page.locator("#pictures li button").first.click()
        talk.until(f"{WAITING} === 1")
        talk.page.click("#send")
        talk.until("document.querySelectorAll('.message.them').length === 1")
        (config,) = fake.llm.configs
        assert config.question == "这张图片里有什么？"
        assert seen(config) == [((1280, 640), "red")]


def test_what_is_no_picture_is_said(browser: Browser) -> None:
    with page_with(browser) as (fake, talk):
        hand_over(talk, "paste", b"no picture")
        talk.until("!document.getElementById('notice').hidden")
        assert "not a picture" in talk.page.inner_text("#notice-text")
        assert talk.page.is_hidden("#pictures")
        talk.ask("Hello?")
        talk.until("document.querySelectorAll('.message.them').length === 1")
        assert not fake.llm.configs[-1].pictures
