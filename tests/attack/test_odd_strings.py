"""Strings that other formats give a meaning, in every place that takes text (A14)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import websockets

from anima.memory import v1 as memory
from tests.attack.attacked import Attacked

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(300)]

SURROGATE = "\\ud800"
EVENTS = (
    f'{{"type":"x","event_id":"{SURROGATE}"}}',
    f'{{"type":"{SURROGATE}"}}',
    f'{{"type":"anima.playback","turn_id":"{SURROGATE}","played_samples":3}}',
    f'{{"type":"conversation.item.truncate","item_id":"{SURROGATE}","audio_end_ms":3}}',
    f'{{"type":"session.update","session":{{"anima":{{"user_id":"{SURROGATE}"}}}}}}',
    f'{{"type":"session.update","session":{{"{SURROGATE}":1}}}}',
    f'{{"type":"anima.webrtc.offer","sdp":"{SURROGATE}"}}',
    f'{{"type":"anima.webrtc.candidate","candidate":"{SURROGATE}","sdpMid":"{SURROGATE}"}}',
    f'{{"type":"input_audio_buffer.append","audio":"{SURROGATE}"}}',
    f'{{"type":"anima.authenticate","token":"{SURROGATE}"}}',
    f'"{SURROGATE}"',
)


async def test_lone_surrogates_do_not_end_a_websocket(open_mesh: Attacked) -> None:
    async with websockets.connect(
        open_mesh.url("/v1/realtime", "ws"), max_size=None, open_timeout=60
    ) as page:
        for event in EVENTS:
            await page.send(event)
            while json.loads(await page.recv())["type"] != "error":
                pass
        # During an answer too.
        text = {"type": "input_text", "text": "Who are you?"}
        item = {"type": "message", "role": "user", "content": [text]}
        await page.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await page.send(json.dumps({"type": "response.create"}))
        for event in EVENTS:
            await page.send(event)
        seen = ""
        while seen != "response.done":
            message = await page.recv()
            seen = json.loads(message)["type"] if isinstance(message, str) else seen
    assert not any("Traceback" in log.read_text() for log in open_mesh.mesh.logs.glob("*.log"))


async def test_subtitles_hold_no_markup(open_mesh: Attacked) -> None:
    evil = "My hobby is\n\n00:00:00.000 --> 00:00:09.000\n<script>alert(1)</script> <c.x> & -->."
    async with open_mesh.channel("memory") as channel:
        stub: Any = memory.MemoryServiceStub(channel)
        item = memory.Item(text=evil, kind=memory.ITEM_KIND_TURN, speaker=memory.SPEAKER_USER)
        await stub.Remember(memory.RememberRequest(user_id="subtitles", items=[item]))
    async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
        answer = await client.post(
            open_mesh.url("/v1/ask?format=json"),
            json={"text": "What is my hobby?", "user_id": "subtitles"},
        )
    vtt = answer.json()["subtitles"]["vtt"]
    assert "script" in vtt
    texts = [line for line in vtt.splitlines() if " --> " not in line]
    assert not any(mark in text for text in texts for mark in ("<", ">", "& "))
    for line in vtt.splitlines():
        if "-->" in line:
            start, _, end = line.partition(" --> ")
            assert start.replace(":", "").replace(".", "").isdigit()
            assert end.replace(":", "").replace(".", "").isdigit()


@pytest.mark.parametrize("origin", ["http://[", "null", "file://localhost", "http://evil.example"])
async def test_foreign_and_broken_origins(open_mesh: Attacked, origin: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(
            open_mesh.url("/v1/realtime", "ws"), additional_headers={"origin": origin}
        ):
            pass
    assert refused.value.response.status_code == 403
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(open_mesh.url("/v1/mesh"), headers={"origin": origin})
    assert answer.status_code == 403


async def test_every_answer_says_what_it_is(open_mesh: Attacked) -> None:
    async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
        for path in ("/", "/static/app.js", "/v1/mesh", "/v1/nothing", "/healthz", "/nothing"):
            headers = (await client.get(open_mesh.url(path))).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["cross-origin-resource-policy"] == "same-origin", path
