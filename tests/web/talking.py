"""Helpers that use the page like a person."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize

from tests.web.conftest import WebMesh

TIMEOUT_S = 60.0

UNTIL = """async (timeoutMs) => {
  for (const end = performance.now() + timeoutMs; ;) {
    const value = await (EXPRESSION);
    if (value || performance.now() > end) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}"""


class Talk:
    """An open page; it records the browser's errors."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text)
                if message.type in {"error", "warning"}
                else None
            ),
        )

    def evaluate(self, script: str, argument: Any = None) -> Any:
        return self.page.evaluate(script, argument)

    def until(self, script: str, timeout_s: float = TIMEOUT_S) -> Any:
        """Waits in the page until an expression is true, and returns its value."""
        value = self.page.evaluate(UNTIL.replace("EXPRESSION", script), timeout_s * 1000)
        if not value:
            raise AssertionError(f"never came true: {script}\n{self.complaints}\n{self.text}")
        return value

    @property
    def text(self) -> str:
        return self.page.inner_text("body")

    def ask(self, question: str) -> None:
        self.page.fill("#question", question)
        self.page.press("#question", "Enter")

    def until_speaking(self) -> None:
        self.until(f"{VIDEO}.currentTime > 0.3 && {STATE} === 'talk'")

    def until_idle(self, timeout_s: float = 90.0) -> None:
        self.until(f"{STATE} === 'idle' && document.getElementById('stop').hidden", timeout_s)

    def answer(self) -> str:
        """Returns the text of the newest answer."""
        return self.page.locator(".message.them").last.inner_text()


SCREEN = "document.getElementById('screen')"
VIDEO = f"document.getElementById({SCREEN}.dataset.media === 'live' ? 'live' : 'talk')"
"""The element that shows the answer: the WebRTC stream, or the player of the WebSocket."""
STATE = f"{SCREEN}.dataset.state"


@contextmanager
def talking(browser: Browser, mesh: WebMesh, *, media: str = "", **options: Any) -> Iterator[Talk]:
    """Opens the page in a context of its own and waits until it is connected.

    Args:
        browser: the browser.
        mesh: the mesh whose page it is.
        media: "webrtc" or "ws"; empty: what the page chooses, which is WebRTC here.
        options: of the context.
    """
    context = browser.new_context(**options)
    try:
        talk = Talk(context.new_page())
        talk.page.goto(f"{mesh.page}?media={media}" if media else mesh.page)
        talk.page.wait_for_selector("#status[data-state=online]")
        talk.until("document.getElementById('idle').classList.contains('ready')")
        if media != "ws":
            talk.page.wait_for_selector("#screen[data-media=live]")
        yield talk
    finally:
        context.close()


@contextmanager
def open_page(browser: Browser, address: str, size: tuple[int, int], locale: str) -> Iterator[Talk]:
    """Opens a page of this width and height, px, and waits until it is connected."""
    viewport = ViewportSize(width=size[0], height=size[1])
    context = browser.new_context(viewport=viewport, locale=locale)
    try:
        talk = Talk(context.new_page())
        talk.page.goto(address)
        talk.until(
            "['online', 'degraded'].includes(document.getElementById('status').dataset.state)"
        )
        yield talk
    finally:
        context.close()
