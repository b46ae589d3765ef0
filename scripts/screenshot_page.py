"""Takes the README's screenshot: the page of a running mesh in the middle of an answer."""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from testing.browsers.chromium import chromium_path

SIZE = ViewportSize(width=1280, height=800)
STATE = "document.getElementById('screen').dataset.state"
INTO_THE_ANSWER_MS = 2_300


def ask(page: Page, question: str) -> None:
    """Asks a question and waits until the answer is visible."""
    page.fill("#question", question)
    page.press("#question", "Enter")
    until(page, "talk")


def until(page: Page, state: str) -> None:
    """Waits for a state of the screen; the page's policy blocks Playwright's own wait."""
    while page.evaluate(STATE) != state:
        page.wait_for_timeout(20)


def take(page_address: str, question: str, out: Path) -> None:
    """Asks a question on the page, and takes a screenshot of the answer with the stages shown."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(),
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        page = browser.new_page(viewport=SIZE, locale="en-US")
        page.goto(page_address)
        page.wait_for_selector("#status[data-state=online]")
        ask(page, "Hello!")
        until(page, "idle")
        page.click("#timing summary")
        ask(page, question)
        page.wait_for_timeout(INTO_THE_ANSWER_MS)
        page.screenshot(path=out)
        browser.close()


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", default="http://localhost:8080/")
    parser.add_argument("--question", default="What can you do?")
    parser.add_argument("--out", type=Path, default=Path("docs/images/page.png"))
    arguments = parser.parse_args()
    take(arguments.page, arguments.question, arguments.out)


if __name__ == "__main__":
    main()
