"""The page for people who use no mouse, use a screen reader, or need contrast."""

from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.web.conftest import WebMesh
from tests.web.talking import STATE, Talk, talking

pytestmark = pytest.mark.browser

LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, level AA."""

# Text below the contrast, with its colours; text over the picture has no one background.
PALE_TEXT = """(least) => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], below) =>
    [r, g, b].map((value, index) => (value * a + below[index] * (255 - a)) / 255);
  const ground = (element) => {
    const behind = element.parentElement ? ground(element.parentElement) : [255, 255, 255];
    return over(rgba(getComputedStyle(element).backgroundColor), behind);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => value / 255)
      .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pale = [];
  for (const element of document.querySelectorAll("body *:not(#screen *, :disabled, option)")) {
    const text = [...element.childNodes].find((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !element.checkVisibility() || element.offsetWidth < 2) continue;
    const below = ground(element);
    const pair = [light(over(rgba(getComputedStyle(element).color), below)), light(below)];
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < least) pale.push([text.data.trim().slice(0, 40), contrast.toFixed(2)]);
  }
  return pale;
}"""


def focused(talk: Talk) -> str:
    name: str = talk.evaluate("document.activeElement.id || document.activeElement.textContent")
    return name


def tab_to(talk: Talk, name: str) -> None:
    for _ in range(20):
        talk.page.keyboard.press("Tab")
        if focused(talk) == name:
            return
    raise AssertionError(f"{name!r} is not reached by the Tab key")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(browser: Browser, mesh: WebMesh, scheme: Any) -> None:
    with talking(browser, mesh, color_scheme=scheme) as talk:
        talk.page.wait_for_selector("#suggestions button")
        assert talk.evaluate(PALE_TEXT, LEAST_CONTRAST) == []
        talk.ask("What can you do?")
        talk.until("document.querySelector('#captions .lit').textContent.length > 3")
        talk.page.keyboard.press("Escape")
        talk.until("document.querySelector('.message.them footer')")
        talk.page.click("#timing summary")
        assert talk.evaluate(PALE_TEXT, LEAST_CONTRAST) == []
        talk.page.click("#settings-open")
        talk.page.click("#memory-open")
        talk.until("document.querySelectorAll('#memory-items li').length >= 2")
        assert talk.evaluate(PALE_TEXT, LEAST_CONTRAST) == []


def test_a_talk_needs_no_mouse(browser: Browser, mesh: WebMesh) -> None:
    with talking(browser, mesh) as talk:
        talk.page.wait_for_selector("#suggestions button")
        talk.evaluate("document.activeElement.blur()")
        tab_to(talk, "settings-open")
        talk.page.keyboard.press("Enter")
        assert talk.evaluate("document.getElementById('settings').open")
        talk.page.keyboard.press("Escape")
        assert not talk.evaluate("document.getElementById('settings').open")
        assert focused(talk) == "settings-open"
        tab_to(talk, "What can you do?")
        talk.page.keyboard.press("Enter")
        talk.until_speaking()
        talk.page.keyboard.press("Escape")
        talk.until(f"{STATE} === 'idle'")

        assert "What can you do?" in talk.page.locator(".message.me").inner_text()


def test_roles_and_names_are_there_for_screen_readers(browser: Browser, mesh: WebMesh) -> None:
    with talking(browser, mesh) as talk:
        page = talk.page
        log = page.get_by_role("log", name="Conversation")
        assert log.get_attribute("aria-live") == "polite"
        assert page.get_by_role("status").first.inner_text() == "Connected"
        assert page.get_by_role("textbox", name="Your question").is_visible()
        assert page.get_by_role("button", name="Settings").is_visible()
        talk.ask("What can you do?")
        talk.until_speaking()
        # The answer is read once, when it is complete; captions and video would repeat it.
        assert page.locator(".message.them[aria-busy=true]").count() == 1
        assert page.get_by_role("button", name="Stop").is_visible()
        hidden = "document.querySelectorAll('#captions[aria-hidden=true], video[aria-hidden=true]')"
        assert talk.evaluate(f"{hidden}.length") == 6
        page.keyboard.press("Escape")
        talk.until("!document.querySelector('.message[aria-busy]')")
        page.click("#settings-open")
        assert page.get_by_role("dialog", name="Settings").is_visible()
        assert page.get_by_role("combobox", name="Voice").is_visible()
