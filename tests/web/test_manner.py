"""A person asks the face for another voice or speed: the controls of the page follow."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.web.conftest import WebMesh
from tests.web.talking import talking

pytestmark = pytest.mark.browser


def chosen(name: str) -> str:
    return f"document.getElementById('{name}').value"


def test_the_controls_follow_a_wish(browser: Browser, mesh: WebMesh, pictures: Path) -> None:
    with talking(browser, mesh) as talk:
        talk.ask("Speak slower.")
        talk.until(f"{chosen('speed')} === '0.8'")
        talk.until_speaking()
        talk.until_idle()
        assert "more slowly" in talk.answer()
        talk.ask("Use another voice, please.")
        voice = talk.until(chosen("voice"))
        talk.until_idle()
        talk.page.click("#settings-open")
        talk.page.screenshot(path=pictures / "manner.png")
        talk.page.reload()
        talk.until(f"{chosen('voice')} === '{voice}' && {chosen('speed')} === '0.8'")
        assert talk.complaints == []


def test_the_note_of_a_voice_is_in_the_language_of_the_page(
    browser: Browser, mesh: WebMesh
) -> None:
    with talking(browser, mesh) as talk:
        voice = {
            "name": "fine",
            "display_name": "Fine",
            "languages": ["en"],
            "note": "late",
            "use": "VOICE_USE_TOO_LATE",
            "first_clause_ms": 512,
            "real_time_factor": 0.31,
        }
        script = """async (voice) => {
          const { Settings } = await import("./static/settings.js");
          const { switchLanguage } = await import("./static/i18n.js");
          const settings = new Settings();
          settings.show({ stages: [], personas: [], avatars: [], voices: [voice] });
          const english = document.getElementById("voice-note").textContent;
          switchLanguage();
          settings.draw();
          return [english, document.getElementById("voice-note").textContent];
        }"""
        english, chinese = talk.evaluate(script, voice)
        assert "Fine: speaks only if you choose it" in english
        assert "0.51 s" in english
        assert "只有选择它才会使用" in chinese
        assert "0.51 秒" in chinese
