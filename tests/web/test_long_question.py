"""A question that is too long is kept, and the person sees by how much."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from gateway.session.turns.turn_maker import MAX_QUESTION_CHARS
from tests.web.talking import open_page

pytestmark = pytest.mark.browser

# Pastes as a person does: Playwright's fill would go around the limits of the box.
PASTE = """(text) => {
  document.getElementById("question").focus();
  document.execCommand("insertText", false, text);
}"""
PHONE = (320, 568)


@pytest.mark.parametrize(
    ("locale", "text", "said"),
    [
        ("en-US", "word " * 1_700 + "END", "Too long by 503:"),
        ("zh-CN", "我" * 9_000, "超出 1,000 个字符"),
        ("en-US", "🙂" * (MAX_QUESTION_CHARS + 1), "Too long by 1:"),
    ],
    ids=["english", "chinese", "emoji"],
)
def test_a_long_paste_is_kept_and_not_sent(
    browser: Browser, scripted_page: str, locale: str, text: str, said: str
) -> None:
    with open_page(browser, scripted_page, PHONE, locale) as talk:
        talk.evaluate(PASTE, text)
        assert talk.page.input_value("#question") == text
        assert said in talk.page.inner_text("#too-long")
        assert talk.page.is_disabled("#send")
        talk.page.press("#question", "Enter")
        assert talk.page.input_value("#question") == text
        assert talk.page.locator(".message.me").count() == 0
        assert talk.page.get_attribute("#question", "aria-invalid") == "true"


def test_what_fits_after_all_is_sent(browser: Browser, scripted_page: str) -> None:
    with open_page(browser, scripted_page, PHONE, "en-US") as talk:
        talk.evaluate(PASTE, "🙂" * MAX_QUESTION_CHARS + "x")
        assert talk.page.is_visible("#too-long")
        talk.page.press("#question", "Backspace")
        assert talk.page.is_hidden("#too-long")
        assert talk.page.get_attribute("#question", "aria-invalid") == "false"
        talk.page.press("#question", "Enter")
        talk.until("document.querySelector('.message.me')")
        talk.until("document.querySelector('.message.them')")
        assert talk.page.is_hidden("#notice")
