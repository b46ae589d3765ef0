"""The page itself: its look, its use by keyboard, and its error messages."""

from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser, WebSocketRoute

from tests.requirements import need
from tests.web.conftest import WebMesh
from tests.web.talking import Talk, open_page, talking

pytestmark = pytest.mark.browser

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
SIZE = (1280, 800)
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
CONNECTED = "#status[data-state=online], #status[data-state=degraded]"


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everything_fits_and_is_drawn(
    browser: Browser, mesh: WebMesh, pictures: Path, viewport: dict[str, int], locale: str
) -> None:
    need("cjk-font")
    question = "你能做什么？" if locale == "zh-CN" else "What can you do?"
    with talking(browser, mesh, viewport=viewport, locale=locale) as talk:

        def check(moment: str) -> None:
            for scheme in SCHEMES:
                talk.page.emulate_media(color_scheme=scheme)
                name = f"{viewport['width']}-{scheme}-{locale}-{moment}.png"
                talk.page.screenshot(path=pictures / name)
                if moment != "settings":  # a dialog in front of the page
                    check_layout(talk)

        assert talk.page.locator("#suggestions button").count() >= 2
        check("start")
        talk.ask(question)
        talk.until_speaking()
        talk.until("document.querySelector('#captions .lit').textContent.length > 3")
        check("speaking")
        talk.page.keyboard.press("Escape")
        talk.until_idle()
        talk.page.click("#timing summary")
        check("timing")
        talk.page.click("#settings-open")
        check("settings")

        assert talk.complaints == []


def check_layout(talk: Talk) -> None:
    """Nothing sticks out sideways; face, box and disclosure are in view."""
    outside = talk.evaluate(
        """() => ["screen", "composer", "conversation"].concat([".disclosure"]).filter((name) => {
          const found = document.getElementById(name) ?? document.querySelector(name);
          const { left, right, top, bottom, width, height } = found.getBoundingClientRect();
          const inside = left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight;
          return !inside || width < 100 || height < 12;
        })"""
    )
    assert outside == []
    assert talk.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_enter_sends_and_shift_enter_makes_a_line(browser: Browser, scripted_page: str) -> None:
    with open_page(browser, scripted_page, SIZE, "en-US") as talk:
        talk.page.type("#question", "first")
        talk.page.keyboard.press("Shift+Enter")
        talk.page.keyboard.type("second")

        assert talk.page.input_value("#question") == "first\nsecond"
        talk.page.keyboard.press("Enter")
        talk.until("document.querySelector('.message.me')")
        assert talk.page.input_value("#question") == ""


def test_all_controls_are_reached_by_keyboard_and_have_names(
    browser: Browser, scripted_page: str
) -> None:
    with open_page(browser, scripted_page, SIZE, "en-US") as talk:
        talk.page.fill("#question", "x")
        talk.page.evaluate("document.activeElement.blur()")
        reached = []
        for _ in range(14):
            talk.page.keyboard.press("Tab")
            reached.append(talk.evaluate("document.activeElement.id"))
        nameless = talk.evaluate(
            """() => [...document.querySelectorAll("button, select, textarea, input")]
              .filter((control) => !control.hidden
                && !control.textContent.trim() && !control.ariaLabel
                && !control.labels?.length && !control.title)
              .map((control) => control.outerHTML)"""
        )

        wanted = {"language-switch", "settings-open", "question", "microphone", "send"}
        assert wanted <= set(reached)
        assert nameless == []


def test_language_of_the_page_is_switched_and_kept(browser: Browser, scripted_page: str) -> None:
    with open_page(browser, scripted_page, SIZE, "en-US") as talk:
        assert "You are talking to an AI" in talk.text
        talk.page.click("#language-switch")
        assert "您正在与人工智能对话" in talk.text
        talk.page.reload()
        talk.page.wait_for_selector(CONNECTED)
        assert "您正在与人工智能对话" in talk.text
        assert talk.evaluate("document.documentElement.lang") == "zh-CN"


def test_every_text_is_there_in_both_languages(browser: Browser, scripted_page: str) -> None:
    with open_page(browser, scripted_page, SIZE, "en-US") as talk:
        keys = talk.evaluate(
            """async () => {
              const source = await (await fetch("static/i18n.js")).text();
              const names = (text) => [...text.matchAll(/^    (\\w+): "/gm)].map((m) => m[1]);
              const [english, chinese] = source.split("\\n  zh: {").map(names);
              return { english, chinese };
            }"""
        )

        assert len(keys["english"]) > 50
        assert keys["english"] == keys["chinese"]


def test_blocked_microphone_is_explained(browser: Browser, scripted_page: str) -> None:
    with open_page(browser, scripted_page, SIZE, "en-US") as talk:
        talk.page.click("#microphone")
        talk.page.wait_for_selector("#notice:not([hidden])")

        assert "microphone" in talk.page.inner_text("#notice-text").lower()
        assert "type" in talk.page.inner_text("#notice-text")
        assert talk.page.get_attribute("#microphone", "aria-pressed") == "false"


def test_lost_connection_comes_back_and_the_question_is_kept(
    browser: Browser, mesh: WebMesh
) -> None:
    routes: list[WebSocketRoute] = []

    def pass_through(route: WebSocketRoute) -> None:
        route.connect_to_server()
        routes.append(route)

    context = browser.new_context()
    page = context.new_page()
    page.route_web_socket("**/v1/realtime", pass_through)
    talk = Talk(page)
    page.goto(mesh.page)
    page.wait_for_selector("#status[data-state=online]")
    page.evaluate(
        "window.seen = []; new MutationObserver(() => seen.push("
        "document.getElementById('status').dataset.state)).observe("
        "document.getElementById('status'), { attributes: true })"
    )
    routes[0].close()
    talk.until("seen.includes('offline')")
    page.fill("#question", "What can you do?")
    page.wait_for_selector("#status[data-state=online]")
    page.press("#question", "Enter")
    talk.until_speaking()

    assert len(routes) == 2
    context.close()


def test_choice_that_is_no_longer_offered_is_dropped(browser: Browser, mesh: WebMesh) -> None:
    with talking(browser, mesh) as talk:
        gone = '{ "persona": "gone", "voice": "gone", "avatar": "gone" }'
        talk.evaluate("(gone) => localStorage.setItem('anima.choices', gone)", gone)
        talk.page.reload()
        talk.page.wait_for_selector("#suggestions button")
        talk.ask("What can you do?")
        talk.until_speaking()

        # On a busy machine a notice says that the face is slow.
        assert "gone" not in talk.page.inner_text("#notice-text")


def test_reload_resumes_the_conversation(browser: Browser, mesh: WebMesh) -> None:
    with talking(browser, mesh) as talk:
        talk.ask("What can you do?")
        talk.until_speaking()
        talk.until("document.querySelector('#captions .lit').textContent.length > 3")
        name = talk.evaluate("JSON.parse(sessionStorage.getItem('anima.conversation')).id")
        talk.page.reload()
        talk.page.wait_for_selector("#screen[data-media=live]")
        shown = talk.page.locator("#conversation li").all_inner_texts()
        talk.ask("How are you built?")
        talk.until_speaking()

        assert talk.evaluate("JSON.parse(sessionStorage.getItem('anima.conversation')).id") == name
        assert "What can you do?" in shown[0]
        assert "I can" in shown[1]
        assert "interrupted" in shown[1]
        assert talk.page.locator("#suggestions button").count() == 0
