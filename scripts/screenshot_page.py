"""Take the README's picture: the page of a running mesh in the middle of an answer."""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

from tests.requirements import chromium_path

SIZE = ViewportSize(width=1280, height=800)
TALK = "document.getElementById('talk').currentTime"
STATE = "document.getElementById('screen').dataset.state"
IDLE = f"{STATE} === 'idle' && {TALK} > 1"
SPEAKING = f"{STATE} === 'talk' && {TALK} > 2.2"


def take(page_address: str, question: str, out: Path) -> None:
    """Ask a question on the page, and take a picture while it is answered with the stages shown."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(),
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        page = browser.new_page(viewport=SIZE, locale="en-US")
        page.goto(page_address)
        page.wait_for_selector("#status[data-state=online]")
        page.fill("#question", "Hello!")
        page.press("#question", "Enter")
        while not page.evaluate(IDLE):
            page.wait_for_timeout(50)
        page.click("#timing summary")
        page.fill("#question", question)
        page.press("#question", "Enter")
        while not page.evaluate(SPEAKING):
            page.wait_for_timeout(20)
        page.screenshot(path=out)
        browser.close()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", default="http://localhost:8080/")
    parser.add_argument("--question", default="What can you do?")
    parser.add_argument("--out", type=Path, default=Path("docs/images/page.png"))
    arguments = parser.parse_args()
    take(arguments.page, arguments.question, arguments.out)


if __name__ == "__main__":
    main()
