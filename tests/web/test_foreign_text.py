"""Texts of strangers on the page: markup in them is shown, and is never a part of the page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, WebSocketRoute

import anima.avatar.v1 as avatar
import anima.common.v1 as common
import anima.llm.v1 as llm
import anima.memory.v1 as memory
import anima.tts.v1 as tts
from services.runtime.errors import InvalidRequest
from testing.fakes.mesh import FakeMesh
from testing.fakes.stages import VIDEO, FakeAvatar, FakeLlm, FakeMemory, FakeTts
from tests.unit.web.clients import serving_page
from tests.web.served import served
from tests.web.talking import Talk, open_page

pytestmark = pytest.mark.browser

SIZE = (1280, 800)


def evil(place: str) -> str:
    """Returns a text that would become a part of the page if it were taken for markup."""
    run = f"window.hacked='{place}'"
    return (
        f'{place} <img data-evil src="x" onerror="{run}"> <script data-evil>{run}</script>'
        f' "\'><svg data-evil onload={run}> <a data-evil href="javascript:{run}">x</a>'
        " </li></textarea></title><b data-evil> &lt;i data-evil&gt; {{7*7}} ${7*7}"
    )


class EvilLlm(FakeLlm):
    async def ListPersonas(self, request: Any, context: Any) -> llm.ListPersonasResponse:  # noqa: N802
        def said(place: str) -> list[llm.PersonaText]:
            return [llm.PersonaText(language="en", text=evil(place))]

        persona = llm.Persona(
            name="ani",
            display_name=evil("persona"),
            description=evil("description"),
            descriptions=said("descriptions"),
            greetings=said("greeting"),
            suggestions=said("suggestion"),
            languages=["en"],
            avatar="ani",
        )
        return llm.ListPersonasResponse(personas=[persona])

    async def DescribeEngine(self, request: Any, context: Any) -> llm.DescribeEngineResponse:  # noqa: N802
        return llm.DescribeEngineResponse(engine=common.EngineInfo(name=evil("engine")))


class EvilTts(FakeTts):
    async def ListVoices(self, request: Any, context: Any) -> tts.ListVoicesResponse:  # noqa: N802
        voice = tts.Voice(
            name="amy",
            display_name=evil("voice"),
            note=evil("note"),
            languages=["en"],
            sample_rate_hz=22_050,
        )
        return tts.ListVoicesResponse(voices=[voice])


class EvilAvatar(FakeAvatar):
    async def ListAvatars(self, request: Any, context: Any) -> avatar.ListAvatarsResponse:  # noqa: N802
        face = avatar.Avatar(
            name="ani", display_name=evil("face"), consent=evil("consent"), video=VIDEO
        )
        return avatar.ListAvatarsResponse(avatars=[face])

    async def CreateAvatar(self, requests: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        _, rest = await self.opened(requests)
        async for request in rest:
            if request.WhichOneof("message") == "end_of_photo":
                break
        for response in (
            avatar.CreateAvatarResponse(
                progress=avatar.CreationProgress(step=evil("step"), percent=30)
            ),
            avatar.CreateAvatarResponse(
                warning=avatar.CreationWarning(reason="BLURRED", message=evil("warning"))
            ),
        ):
            await context.write(response)
        raise InvalidRequest(f"photo: {evil('fault')}")


class EvilMemory(FakeMemory):
    async def List(self, request: Any, context: Any) -> memory.ListResponse:  # noqa: N802
        items = [
            memory.Item(
                item_id=f"i{kind}",
                kind=kind,
                speaker=memory.SPEAKER_USER,
                text=evil("memory"),
                created_unix_ms=1_700_000_000_000,
            )
            for kind in (memory.ITEM_KIND_TURN, memory.ITEM_KIND_FACT, memory.ITEM_KIND_SUMMARY)
        ]
        return memory.ListResponse(items=items, total_count=len(items))


@pytest.fixture(scope="module")
def evil_page(chromium_is_here: None) -> Iterator[str]:
    """The address of a page whose stages send markup in every text."""

    @asynccontextmanager
    async def site() -> AsyncIterator[str]:
        fake = FakeMesh()
        fake.llm, fake.tts = EvilLlm(), EvilTts()
        fake.avatar, fake.memory = EvilAvatar(), EvilMemory()  # type: ignore[abstract]
        fake.llm.answer = [evil("answer")]
        fake.llm.sources = [
            llm.Source(kind=llm.SOURCE_KIND_DOCUMENT, name=evil("document"), score=0.9)
        ]
        async with fake, fake.mesh() as mesh, serving_page(mesh) as page:
            yield f"http://{page.address}/?media=ws"

    with served(site) as address:
        yield address


def assert_harmless(talk: Talk, *places: str) -> None:
    """Checks that each text is shown as it is, and that none of them has become an element."""
    assert talk.evaluate("window.hacked") is None
    assert talk.evaluate("document.querySelectorAll('[data-evil]').length") == 0
    text = talk.evaluate("document.body.textContent")
    for place in places:
        assert evil(place) in text, place
    # A script or an attribute that the policy of the page has stopped would be complained of.
    assert talk.complaints == []


def test_answers_questions_and_what_the_mesh_offers(browser: Browser, evil_page: str) -> None:
    with open_page(browser, evil_page, SIZE, "en-US") as talk:
        talk.until("document.querySelector('#suggestions button')")
        assert_harmless(talk, "greeting", "suggestion")
        talk.ask(evil("question"))
        talk.until("document.querySelector('.message.them footer')")
        assert_harmless(talk, "question", "answer", "document")
        talk.page.click("#settings-open")
        talk.until("document.querySelector('#stages li')")
        assert_harmless(talk, "persona", "descriptions", "face", "voice", "engine")
        talk.page.reload()
        talk.until("document.querySelector('.message.them')")
        assert_harmless(talk, "question", "answer")


def test_memories(browser: Browser, evil_page: str) -> None:
    with open_page(browser, evil_page, SIZE, "en-US") as talk:
        talk.page.click("#settings-open")
        talk.page.click("#memory-open")
        talk.until("document.querySelectorAll('#memory-items li').length === 3")
        assert_harmless(talk, "memory")


def test_a_photo(browser: Browser, evil_page: str) -> None:
    with open_page(browser, evil_page, SIZE, "en-US") as talk:
        talk.page.click("#settings-open")
        talk.page.click("#portrait-open")
        photo = FilePayload(name=f"{evil('file')}.png", mimeType="image/png", buffer=b"no photo")
        talk.page.set_input_files("#portrait-photo", photo)
        talk.page.fill("#portrait-name", "x")
        talk.page.check("#portrait-consent")
        talk.page.click("#portrait-make")
        talk.page.wait_for_selector("#portrait-wrong:visible")
        assert talk.evaluate("window.hacked") is None
        assert talk.evaluate("document.querySelectorAll('[data-evil]').length") == 0
        shown = talk.page.inner_text("#portrait-wrong") + talk.page.inner_text("#portrait-warnings")
        assert "data-evil" in shown


EVENTS = [
    {
        "type": "conversation.item.input_audio_transcription.delta",
        "item_id": "item_speech_1",
        "transcript": evil("heard"),
    },
    {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": "item_speech_1",
        "transcript": evil("said"),
    },
    {"type": "anima.notice", "kind": "degraded", "stage": "tts", "text": evil("notice")},
    {"type": "error", "error": {"code": evil("code"), "message": evil("error")}},
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])
def test_events_of_the_gateway(browser: Browser, evil_page: str, event: dict[str, Any]) -> None:
    context = browser.new_context(locale="en-US")
    talk = Talk(context.new_page())
    routes: list[WebSocketRoute] = []

    def connect(route: WebSocketRoute) -> None:
        route.connect_to_server()
        routes.append(route)

    talk.page.route_web_socket("**/v1/realtime*", connect)
    talk.page.goto(evil_page)
    talk.until("document.getElementById('status').dataset.state === 'online'")
    routes[-1].send(json.dumps(event))
    talk.until("document.body.textContent.includes('data-evil onload')")
    text = event.get("transcript") or event.get("text") or event["error"]["message"]
    talk.until(f"document.body.textContent.includes({json.dumps(text)})")
    assert_harmless(talk)
    context.close()
