"""Two tabs with one conversation: a duplicated tab copies what was said so far."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser

from tests.web.conftest import WebMesh
from tests.web.talking import Talk, talking

pytestmark = pytest.mark.browser


def duplicate(talk: Talk, mesh: WebMesh) -> Talk:
    """Opens a copy of a tab, as a browser duplicates it."""
    copied = talk.evaluate("JSON.stringify(Object.entries(sessionStorage))")
    page = talk.page.context.new_page()
    other = Talk(page)
    for name, value in json.loads(copied):
        entry = f"{json.dumps(name)}, {json.dumps(value)}"
        # Not at a reload: by then the tab has a storage of its own.
        page.add_init_script(f"sessionStorage.length || sessionStorage.setItem({entry})")
    page.goto(mesh.page)
    page.wait_for_selector("#status[data-state=online]")
    return other


def messages(talk: Talk) -> list[str]:
    return talk.page.locator("#conversation .message").all_inner_texts()


def test_answer_that_was_under_way_is_shown_in_a_second_tab(
    browser: Browser, mesh: WebMesh
) -> None:
    with talking(browser, mesh) as talk:
        talk.ask("Who are you?")
        talk.until_speaking()
        other = duplicate(talk, mesh)
        assert messages(other)[-1].endswith("Who are you?")
        talk.until_idle()
        other.until("document.querySelectorAll('#conversation .message.them').length > 0")
        assert other.answer() == talk.answer()

        # From here on both go on separately, and the second one knows what was said.
        talk.ask("What can you do?")
        talk.until_speaking()
        talk.page.keyboard.press("Escape")
        talk.until_idle()
        assert len(messages(other)) == 2
        other.page.reload()
        other.page.wait_for_selector("#conversation .message.them")
        assert len(messages(other)) == 2
        assert talk.complaints == other.complaints == []


def test_answer_that_ends_with_its_tab_is_shown_as_far_as_it_was_heard(
    browser: Browser, mesh: WebMesh
) -> None:
    with talking(browser, mesh) as talk:
        talk.ask("What can you do?")
        talk.until_speaking()
        talk.until("document.querySelector('.message.them').textContent.length > 20")
        other = duplicate(talk, mesh)
        talk.page.close()
        other.until("document.querySelector('#conversation .message.them footer') !== null")
        assert len(messages(other)) == 2
