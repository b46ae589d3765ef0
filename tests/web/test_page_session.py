"""A page that another site opens for a person, in a real Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Error, Page

from tests.unit.identity.test_routes import Site, running_site
from tests.unit.identity.tokens import token
from tests.web.served import served

TOKEN = "sessionStorage.getItem('anima.token')"
SAID = "document.getElementById('conversation').textContent"


@pytest.fixture(scope="module")
def sites() -> list[Site]:
    return []


@pytest.fixture(scope="module")
def address(
    chromium_is_here: None, tmp_path_factory: pytest.TempPathFactory, sites: list[Site]
) -> Iterator[str]:
    """The address of a page whose gateway checks signed tokens."""
    folder = tmp_path_factory.mktemp("keys")

    @asynccontextmanager
    async def site() -> AsyncIterator[str]:
        async with running_site(folder) as running:
            sites.append(running)
            yield f"http://{running.page.address}/"

    with served(site) as address:
        yield address


def new_code(address: str, user: str) -> str:
    headers = {"authorization": f"Bearer {token(user)}"}
    answer = httpx.post(f"{address}v1/page-codes", headers=headers, trust_env=False)
    assert answer.status_code == 201
    return str(answer.json()["code"])


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-US", viewport={"width": 1100, "height": 760})
    yield context.new_page()
    context.close()


def open_with(page: Page, address: str, code: str) -> None:
    page.goto(f"{address}?media=ws#code={code}")


def until(page: Page, condition: str) -> None:
    """Waits for an expression; the page's policy blocks Playwright's own wait."""
    for _ in range(1500):
        with suppress(Error):  # the page is being loaded again
            if page.evaluate(condition):
                return
        page.wait_for_timeout(20)
    raise AssertionError(f"never true: {condition}")


def ask(page: Page, question: str) -> None:
    page.fill("#question", question)
    page.press("#question", "Enter")
    until(page, f"{SAID}.includes('Bye now.')")


def test_the_page_becomes_the_person_of_the_code(
    page: Page, address: str, sites: list[Site], pictures: Path
) -> None:
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    code = new_code(address, "ada")
    open_with(page, address, code)
    page.wait_for_selector("#status[data-state=online], #status[data-state=degraded]")

    assert page.url == f"{address}?media=ws"
    session = page.evaluate(TOKEN)
    assert session.startswith("anima-page-")
    assert session != code
    ask(page, "Who am I?")
    assert {each.user_id for each in sites[0].memory.requests} == {"ada"}
    page.screenshot(path=pictures / "page_session.png")

    assert not [each for each in addresses if code in each or session in each]
    assert "anima.user" not in page.evaluate("Object.keys(localStorage)")
    page.reload()
    page.wait_for_selector("#status[data-state=online], #status[data-state=degraded]")
    assert page.evaluate(TOKEN) == session


def test_a_code_is_for_one_use(page: Page, address: str, pictures: Path) -> None:
    code = new_code(address, "ada")
    open_with(page, address, code)
    page.wait_for_selector("#status[data-state=online], #status[data-state=degraded]")

    # Whoever was signed in here before is not so any more.
    open_with(page, address, code)
    page.wait_for_selector("#token-dialog[open]")
    assert page.evaluate(TOKEN) is None
    assert "used before" in page.inner_text("#notice-text")
    assert "code" not in page.url
    page.screenshot(path=pictures / "page_session_used.png")


def test_another_person_in_the_same_tab_sees_nothing_of_the_first(
    page: Page, address: str, sites: list[Site]
) -> None:
    open_with(page, address, new_code(address, "ada"))
    page.wait_for_selector("#status[data-state=online], #status[data-state=degraded]")
    ask(page, "Where is my cat?")
    first = page.evaluate(TOKEN)
    sites[0].memory.requests.clear()

    open_with(page, address, new_code(address, "bob"))
    until(page, f"{TOKEN} !== {first!r} && {TOKEN} !== null")
    page.wait_for_selector("#status[data-state=online], #status[data-state=degraded]")
    assert "cat" not in page.evaluate(SAID)
    ask(page, "And who am I?")
    assert {each.user_id for each in sites[0].memory.requests} == {"bob"}
