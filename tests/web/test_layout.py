"""Nothing covers what is said, and no text is cut, from the smallest phone to a desktop."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from playwright.sync_api import Browser, ViewportSize

from services.runtime.errors import Unavailable
from testing.fakes.mesh import FakeMesh
from tests.requirements import need
from tests.unit.web.clients import serving_page
from tests.web.served import served
from tests.web.talking import Talk, open_page

pytestmark = pytest.mark.browser

ANSWER = (
    "I can talk with you about many things. You speak or type, and I answer with a voice, moving"
    " lips and captions. You can interrupt me at any time, ask me to repeat, or write in Chinese."
)
SIZES = [(320, 568), (360, 640), (390, 844), (568, 320), (768, 1024), (1280, 800)]
SCROLLED = "document.getElementById('conversation').scrollTop"
LEAST_TRANSCRIPT_PX = 80
"""Three lines of the transcript."""

RECTANGLES = """(names) => Object.fromEntries(names.map((name) => {
  const { left, top, right, bottom } = document.querySelector(name).getBoundingClientRect();
  return [name, { left, top, right, bottom }];
}))"""
# The line that comes next of the answer that is being said, else its last one.
SAID_LINE = """() => {
  const answer = document.querySelector(".message:last-child");
  const [next] = answer.querySelector(".ahead").getClientRects();
  const { top, bottom } = next ?? [...answer.querySelector("[dir]").getClientRects()].at(-1);
  return { top, bottom };
}"""
IN_VIEW = ("#screen", "#conversation", "#notice", "#composer", ".disclosure", ".bar")
CLIPPED = """(names) => names.filter((name) => {
  const { scrollWidth, clientWidth, scrollHeight, clientHeight } = document.querySelector(name);
  return scrollWidth > clientWidth || scrollHeight > clientHeight;
})"""


@pytest.fixture(scope="module")
def faceless() -> Iterator[str]:
    """A gateway whose face fails, so that each answer comes with a notice."""
    need("chromium")

    @asynccontextmanager
    async def site() -> AsyncIterator[str]:
        async with FakeMesh() as fake:
            fake.llm.answer = [ANSWER]
            fake.tts.ms_per_char = 6
            fake.avatar.fail_with = Unavailable("no picture")
            async with fake.mesh() as mesh, serving_page(mesh) as page:
                yield f"http://{page.address}/?media=ws"

    with served(site) as address:
        yield address


def check_layouts(talk: Talk) -> None:
    """Turns and resizes the page to each size, and checks it there."""
    for size in SIZES:
        resize(talk, size)
        check_layout(talk, size)
    resize(talk, SIZES[0])


def resize(talk: Talk, size: tuple[int, int]) -> None:
    talk.page.set_viewport_size(ViewportSize(width=size[0], height=size[1]))


def check_layout(talk: Talk, size: tuple[int, int]) -> None:
    """All is in view, one below the other, and the end of the transcript can be read."""
    boxes: dict[str, dict[str, float]] = talk.evaluate(RECTANGLES, list(IN_VIEW))
    for name, box in boxes.items():
        assert box["left"] >= 0, name
        assert box["top"] >= 0, name
        assert box["right"] <= size[0], name
        assert box["bottom"] <= size[1], name
    order = ("#conversation", "#notice", "#composer", ".disclosure")
    for above, below in itertools.pairwise(order):
        assert boxes[above]["bottom"] <= boxes[below]["top"], (above, below)
    assert not overlap(boxes["#screen"], boxes["#conversation"])
    assert not overlap(boxes["#screen"], boxes["#notice"])
    assert boxes["#conversation"]["bottom"] - boxes["#conversation"]["top"] >= LEAST_TRANSCRIPT_PX
    line = talk.evaluate(SAID_LINE)
    assert boxes["#conversation"]["top"] <= line["top"] + 1
    assert line["bottom"] <= boxes["#conversation"]["bottom"] + 1


def overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    aside = one["right"] <= other["left"] or other["right"] <= one["left"]
    return not (aside or one["bottom"] <= other["top"] or other["bottom"] <= one["top"])


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_notice_covers_nothing(browser: Browser, faceless: str, locale: str) -> None:
    with open_page(browser, faceless, SIZES[0], locale) as talk:
        talk.ask("What can you do?")
        talk.page.wait_for_selector("#notice:not([hidden])")
        talk.until(f"document.querySelector('.message.them')?.innerText.includes({ANSWER[-9:]!r})")
        check_layouts(talk)
        talk.until("document.getElementById('stop').hidden")
        check_layouts(talk)


def test_the_transcript_follows_what_is_said_unless_it_is_scrolled(
    browser: Browser, faceless: str
) -> None:
    with open_page(browser, faceless, (320, 568), "en-US") as talk:
        talk.ask("What can you do?")
        talk.until(f"document.querySelector('.message.them')?.innerText.includes({ANSWER[-9:]!r})")
        at_first = talk.evaluate(SCROLLED)
        talk.until(f"({SCROLLED}) > {at_first}")
        talk.evaluate("document.getElementById('conversation').scrollTop = 0")
        said = talk.evaluate("document.querySelector('.them [dir]').textContent.length")
        talk.until(f"document.querySelector('.them [dir]').textContent.length > {said + 20}")
        assert talk.evaluate(SCROLLED) == 0


def test_a_long_notice_that_comes_late_covers_nothing(browser: Browser, faceless: str) -> None:
    with open_page(browser, faceless, SIZES[0], "en-US") as talk:
        talk.ask("What can you do?")
        talk.until("document.getElementById('stop').hidden && document.querySelector('.them')")
        talk.page.click("#microphone")
        talk.until("document.getElementById('notice-text').innerText.includes('microphone')")
        check_layouts(talk)


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_no_text_of_the_bar_is_cut(browser: Browser, faceless: str, locale: str) -> None:
    with open_page(browser, faceless, SIZES[0], locale) as talk:
        for size in SIZES:
            resize(talk, size)
            for state in ("connecting", "online", "degraded", "offline"):
                show_state(talk, state)
                check_bar(talk, (size, state))
            assert talk.evaluate("document.documentElement.scrollWidth <= innerWidth"), size


def check_bar(talk: Talk, seen: tuple[tuple[int, int], str]) -> None:
    """No text is cut, and nothing covers anything else."""
    boxes = talk.evaluate(RECTANGLES, [".bar", "#status", "#language-switch"])
    names = ["#status-text", "#status", "#language-switch", ".bar"]
    assert talk.evaluate(CLIPPED, names) == [], seen
    switch = boxes["#language-switch"]
    assert switch["bottom"] - switch["top"] <= 44, seen
    assert boxes["#status"]["right"] <= switch["left"], seen
    assert boxes["#status"]["bottom"] <= boxes[".bar"]["bottom"], seen


def show_state(talk: Talk, state: str) -> None:
    talk.evaluate(
        """async (state) => {
          const { t } = await import(new URL("static/i18n.js", document.baseURI));
          document.getElementById("status").dataset.state = state;
          document.getElementById("status-text").textContent = t(state, { seconds: 15 });
        }""",
        state,
    )
