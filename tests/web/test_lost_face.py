"""The face is lost during an answer: the voice goes on."""

import pytest
from playwright.sync_api import Browser

from tests.e2e.test_service_killed import kill
from tests.web.conftest import WebMesh
from tests.web.talking import STATE, talking

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def test_voice_goes_on_over_the_websocket(browser: Browser, mesh: WebMesh) -> None:
    with talking(browser, mesh, media="ws") as talk:
        talk.ask("How are you built?")
        talk.until_speaking()
        kill(mesh.process, "services.avatar")
        talk.until(f"{STATE} === 'voice'")
        talk.until(f"document.getElementById('talk').currentTime > 1 || {STATE} === 'idle'")
        talk.until_idle()
        whole = talk.answer()
        mesh.process.wait_for(r"avatar +ready", occurrence=2)

        assert len(whole) > 60
        assert "interrupted" not in whole
        talk.ask("Who are you?")
        talk.until_speaking()
