"""The microphone is never on for a language that nobody understands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from playwright.sync_api import Browser, Playwright

from services.runtime.errors import FailedPrecondition
from testing.fakes.mesh import FakeMesh
from tests.unit.web.clients import serving_page
from tests.web.conftest import chromium
from tests.web.served import served
from tests.web.talking import Talk, open_page

pytestmark = pytest.mark.browser

COMMAND = "anima models pull whisper-base"
SIZE = (1280, 800)


@pytest.fixture(scope="module")
def microphone(playwright: Playwright) -> Iterator[Browser]:
    """A browser with a microphone that anybody may use."""
    with chromium(
        playwright, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
    ) as browser:
        yield browser


@pytest.fixture(scope="module")
def english_only(chromium_is_here: None) -> Iterator[str]:
    """A page whose recogniser understands English alone, and says so."""

    @asynccontextmanager
    async def site() -> AsyncIterator[str]:
        async with FakeMesh() as fake:
            fake.asr.knows = ["en"]
            fake.asr.more_languages = COMMAND
            async with fake.mesh() as mesh, serving_page(mesh) as page:
                yield f"http://{page.address}/?media=ws"

    with served(site) as address:
        yield address


@pytest.fixture(scope="module")
def surprised(chromium_is_here: None) -> Iterator[str]:
    """A page whose recogniser does not tell its languages, and rejects every stream."""

    @asynccontextmanager
    async def site() -> AsyncIterator[str]:
        async with FakeMesh() as fake, fake.mesh() as mesh, serving_page(mesh) as page:
            fake.asr.refuse = FailedPrecondition(
                "English only", reason="LANGUAGE_NOT_SUPPORTED", metadata={"remedy": COMMAND}
            )
            yield f"http://{page.address}/?media=ws"

    with served(site) as address:
        yield address


def is_on(talk: Talk) -> bool:
    return talk.page.get_attribute("#microphone", "aria-pressed") == "true"


def notice(talk: Talk) -> str:
    talk.page.wait_for_selector("#notice:not([hidden])")
    return talk.page.inner_text("#notice-text")


def choose_language(talk: Talk, tag: str) -> None:
    talk.page.click("#settings-open")
    talk.page.select_option("#language", tag)
    talk.page.keyboard.press("Escape")


def test_chinese_page_says_in_chinese_that_only_english_is_heard_and_hears_it(
    microphone: Browser, english_only: str
) -> None:
    with open_page(microphone, english_only, SIZE, "zh-CN") as talk:
        talk.until("document.querySelectorAll('#language option').length > 1")
        talk.page.click("#microphone")
        assert notice(talk) == (
            f"这里的语音识别只能听懂英语，中文请打字输入。 管理员可运行：{COMMAND}"
        )
        talk.until("document.getElementById('microphone').getAttribute('aria-pressed') === 'true'")


def test_chinese_that_was_chosen_and_is_not_heard_keeps_the_microphone_off(
    microphone: Browser, english_only: str
) -> None:
    with open_page(microphone, english_only, SIZE, "zh-CN") as talk:
        talk.until("document.querySelectorAll('#language option').length > 1")
        choose_language(talk, "zh")
        talk.page.click("#microphone")
        assert notice(talk) == (
            "这里听不懂中文语音，只能听懂英语。请打字提问，或在设置中选择其他对话语言。"
            f" 管理员可运行：{COMMAND}"
        )
        assert not is_on(talk)
        choose_language(talk, "en")
        talk.page.click("#microphone")
        talk.until("document.getElementById('microphone').getAttribute('aria-pressed') === 'true'")


def test_microphone_goes_off_when_a_language_is_chosen_that_is_not_heard(
    microphone: Browser, english_only: str
) -> None:
    with open_page(microphone, english_only, SIZE, "en-US") as talk:
        talk.until("document.querySelectorAll('#language option').length > 1")
        talk.page.click("#microphone")
        talk.until("document.getElementById('microphone').getAttribute('aria-pressed') === 'true'")
        choose_language(talk, "zh")
        assert notice(talk).startswith("Spoken Chinese is not understood here, only English.")
        assert not is_on(talk)
        shown = talk.page.locator("#language option[value=zh]").inner_text()
        assert shown == "Chinese (typed only)"


def test_microphone_goes_off_when_the_recogniser_rejects_the_language(
    microphone: Browser, surprised: str
) -> None:
    with open_page(microphone, surprised, SIZE, "en-US") as talk:
        talk.page.click("#microphone")
        assert notice(talk) == (
            "I do not understand spoken English here. Please type your question."
            f" (For the operator: {COMMAND})"
        )
        assert not is_on(talk)
