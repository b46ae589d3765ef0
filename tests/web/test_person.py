"""A person's own data on the page: their memory, and a face from their photo."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from services.runtime.config.settings import ServiceSettings
from tests.requirements import need
from tests.web.conftest import WebMesh
from tests.web.talking import talking

pytestmark = pytest.mark.browser

PHOTO = ServiceSettings.from_environment().data_dir / "models" / "astronaut" / "astronaut.png"


def test_memory_is_read_saved_and_erased(browser: Browser, mesh: WebMesh, pictures: Path) -> None:
    with talking(browser, mesh) as talk:
        page = talk.page
        talk.ask("My dog is called Bruno.")
        talk.until_speaking()
        talk.until_idle()
        page.click("#settings-open")
        page.click("#memory-open")
        talk.until("document.querySelectorAll('#memory-items li').length >= 2")
        page.screenshot(path=pictures / "memory.png")
        everything = page.inner_text("#memory-items")
        with page.expect_download() as download:
            page.click("#memory-export")
        exported = Path(download.value.path()).read_text()
        before = page.locator("#memory-items li").count()
        page.locator("#memory-items li button").first.click()
        talk.until(f"document.querySelectorAll('#memory-items li').length === {before - 1}")
        page.click("#memory-forget")
        assert talk.evaluate("document.activeElement.id") == "memory-keep"
        page.click("#memory-sure")
        talk.until("document.querySelectorAll('#memory-items li').length === 0")

        assert "Bruno" in everything
        assert "Bruno" in exported
        assert "Nothing is remembered" in page.inner_text("#memory-count")
        assert talk.complaints == []


def test_photo_becomes_the_face_that_talks(browser: Browser, mesh: WebMesh, pictures: Path) -> None:
    need("astronaut")
    with talking(browser, mesh) as talk:
        page = talk.page
        page.click("#settings-open")
        page.click("#portrait-open")
        page.set_input_files("#portrait-photo", PHOTO)
        page.fill("#portrait-name", "Astronaut")
        page.screenshot(path=pictures / "portrait-form.png")
        page.click("#portrait-make")
        assert page.locator("#portrait-consent:invalid").count() == 1
        page.check("#portrait-consent")
        page.click("#portrait-make")
        page.wait_for_selector("#portrait-use:visible, #portrait-wrong:visible")
        assert page.is_hidden("#portrait-wrong"), page.inner_text("#portrait-wrong")
        page.screenshot(path=pictures / "portrait-done.png")
        page.click("#portrait-use")
        talk.until("document.getElementById('avatar').value.startsWith('portrait-')")
        talk.ask("What can you do?")
        talk.until_speaking()
        page.screenshot(path=pictures / "portrait-speaking.png")

        assert page.is_hidden("#notice")


def test_photo_without_a_face_is_explained(browser: Browser, mesh: WebMesh, pictures: Path) -> None:
    with talking(browser, mesh) as talk:
        page = talk.page
        page.click("#settings-open")
        page.click("#portrait-open")
        page.set_input_files("#portrait-photo", pictures_of_nothing(pictures))
        page.fill("#portrait-name", "Nobody")
        page.check("#portrait-consent")
        page.click("#portrait-make")
        page.wait_for_selector("#portrait-wrong:visible")

        assert len(page.inner_text("#portrait-wrong")) > 20
        assert page.is_enabled("#portrait-make")


def pictures_of_nothing(folder: Path) -> Path:
    path = folder / "not-a-picture.jpg"
    path.write_bytes(b"this is no picture")
    return path
