"""The WebSocket, against a real server, the real gateway and scripted stages."""

import asyncio
import base64
import socket
import struct

import httpx
import numpy as np
import pytest

from gateway.realtime.fmp4.turn_media import MediaKind
from gateway.realtime.limits import EdgeLimits
from gateway.stages.mesh import Mesh
from testing.fakes.mesh import FakeMesh
from tests.unit.web.clients import Page, PageClient, serving_page
from tests.unit.web.clips import decode


def kinds(client: PageClient) -> list[int]:
    return [message[1] for message in client.media()]


def epochs(client: PageClient) -> set[int]:
    return {struct.unpack(">I", message[8:12])[0] for message in client.media()}


def speech(seconds: float, rate_hz: int = 16_000) -> np.ndarray:
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return (12_000 * np.sin(2 * np.pi * 220 * times)).astype("<i2")


async def test_typed_question_is_answered_as_video(page: Page) -> None:
    async with page.client() as client:
        await client.configure(media="fmp4", audio_codecs=["opus"])
        await client.ask("What can you do?")
        done = await client.until("response.done")

    assert done["response"]["status"] == "completed"
    assert kinds(client)[0] == MediaKind.INIT
    assert kinds(client)[-1] == MediaKind.LAST
    decoded = decode(b"".join(message[12:] for message in client.media()))
    (waterfall,) = client.events("anima.waterfall")
    assert decoded.picture_count == pytest.approx(waterfall["sample_count"] / 24_000 * 25, abs=1)
    assert {span["stage"] for span in waterfall["spans"]} >= {"llm", "tts", "avatar"}


async def test_words_cover_the_text_and_lie_in_the_audio(page: Page) -> None:
    async with page.client() as client:
        await client.configure(media="fmp4")
        await client.ask("What can you do?")
        done = await client.until("response.done")

    text = done["response"]["output"][0]["content"][0]["transcript"]
    words = [word for event in client.events("anima.words") for word in event["words"]]
    assert [text[word["start_char"] : word["end_char"]] for word in words] == [
        word["text"] for word in words
    ]
    (waterfall,) = client.events("anima.waterfall")
    starts = [word["start_sample"] for word in words]
    assert starts == sorted(starts)
    assert starts[-1] < waterfall["sample_count"]


async def test_client_of_the_openai_api_gets_pcm(page: Page) -> None:
    async with page.client(subprotocols=["realtime"]) as client:
        assert (await client.next())["type"] == "session.created"  # type: ignore[call-overload]
        await client.ask("What can you do?")
        await client.until("response.done")

    assert client.socket.subprotocol == "realtime"
    assert client.media() == []
    deltas = client.events("response.output_audio.delta")
    pcm = b"".join(base64.b64decode(event["delta"]) for event in deltas)
    (waterfall,) = client.events("anima.waterfall")
    assert len(pcm) // 2 == waterfall["sample_count"]
    assert np.abs(np.frombuffer(pcm, "<i2")).max() > 4_000


async def test_text_only_makes_no_media(page: Page) -> None:
    async with page.client() as client:
        await client.send({"type": "session.update", "session": {"output_modalities": ["text"]}})
        await client.ask("What can you do?")
        done = await client.until("response.done")

    assert client.media() == []
    assert client.events("anima.media") == []
    text = "".join(event["delta"] for event in client.events("response.output_text.delta"))
    assert text == done["response"]["output"][0]["content"][0]["text"]


@pytest.mark.parametrize("binary", [True, False])
async def test_speech_is_transcribed_and_answered(page: Page, binary: bool) -> None:
    silence = np.zeros(16_000, "<i2")
    audio = np.concatenate([speech(0.6), silence])
    async with page.client() as client:
        rate = {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}
        await client.send({"type": "session.update", "session": {"audio": rate}})
        for start in range(0, len(audio), 640):
            piece = audio[start : start + 640].tobytes()
            if binary:
                await client.socket.send(piece)
            else:
                encoded = base64.b64encode(piece).decode()
                await client.send({"type": "input_audio_buffer.append", "audio": encoded})
        done = await client.until("response.done")

    (completed,) = client.events("conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == "what can you do"
    assert client.events("input_audio_buffer.speech_started")[0]["audio_start_ms"] < 200
    assert done["response"]["status"] == "completed"


async def test_new_question_interrupts_and_stale_media_stays_away(
    page: Page, stages: FakeMesh
) -> None:
    stages.llm.answer = ["word " * 100]
    stages.tts.ms_per_char = 60  # half a minute: an answer that ended by itself is not interrupted
    async with page.client() as client:
        await client.configure(media="fmp4")
        await client.ask("first")
        await client.until("anima.media")
        await client.ask("second")
        interrupted = await client.until("anima.interrupted")
        before = len(client.received)
        await client.until("anima.media")
        await client.send({"type": "response.cancel"})
        await client.until("response.done", lambda e: e["anima"]["epoch"] > interrupted["epoch"])

    after = PageClient(client.socket)
    after.received = client.received[before:]
    assert epochs(after) == {interrupted["epoch"]}
    assert {stage["stage"] for stage in interrupted["stages"]} >= {"tts", "avatar"}


async def test_stop_without_an_answer_is_nothing(page: Page) -> None:
    async with page.client() as client:
        await client.send({"type": "response.cancel"}, {"type": "input_audio_buffer.commit"})
        await client.until("input_audio_buffer.committed")

    assert client.events("error") == []


async def test_playback_report_decides_what_was_heard(page: Page, stages: FakeMesh) -> None:
    stages.llm.answer = ["one two three four five six seven eight nine ten."]
    async with page.client() as client:
        await client.configure(media="fmp4")
        await client.ask("count")
        media = await client.until("anima.media")
        report = {"type": "anima.playback", "turn_id": media["turn_id"], "played_samples": 0}
        await client.send(report, {"type": "response.cancel"})
        interrupted = await client.until("anima.interrupted")

    assert interrupted["heard_text"] == ""


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("{", "not JSON"),
        ('{"type": "nonsense", "event_id": "e7"}', "'nonsense' is not an event"),
        ('{"type": "session.update"}', "session: must be an object"),
        ('{"type": "session.update", "session": {"anima": {"media": "x"}}}', "one of fmp4, pcm"),
        ('{"type": "input_audio_buffer.append", "audio": "*"}', "audio: must be base64"),
        ('{"type": "input_audio_buffer.append", "audio": ""}', "audio: must not be empty"),
        ('{"type": "conversation.item.create", "item": 5}', "item: must be an object"),
        (b"", "audio: must not be empty"),
    ],
)
async def test_wrong_input_is_named_and_the_connection_lives_on(
    page: Page, message: str | bytes, words: str
) -> None:
    async with page.client() as client:
        await client.socket.send(message)
        error = await client.until("error")
        await client.ask("What can you do?")
        await client.until("response.done")

    assert words in error["error"]["message"]
    assert error["error"].get("event_id") == ("e7" if "e7" in str(message) else None)


async def test_unknown_persona_is_named_and_another_can_be_chosen(page: Page) -> None:
    async with page.client() as client:
        await client.configure(persona="nobody")
        await client.ask("hi")
        error = await client.until("error")
        await client.configure(persona="")
        await client.ask("hi")
        await client.until("response.done")

    assert "nobody" in error["error"]["message"]


async def test_failed_stage_is_told_and_the_next_question_works(
    page: Page, stages: FakeMesh
) -> None:
    async with page.client() as client:
        await client.ask("hi")
        await client.until("response.done")
        await stages.stop("llm")
        await client.ask("hi")
        told = await client.until("anima.notice")
        await stages.start("llm")
        await client.ask("hi again")
        await client.until("response.done", lambda e: e["response"]["status"] == "completed")

    assert told["kind"] == "stage_failed"
    assert told["text"]


async def test_without_the_face_the_answer_goes_on_as_sound(page: Page, stages: FakeMesh) -> None:
    async with page.client() as client:
        await client.configure(media="fmp4")
        await client.ask("hi")
        await client.until("response.done")
        await stages.stop("avatar")
        await client.ask("hi")
        announced = await client.until("anima.media")
        await client.until("response.done")

    assert announced["media_type"] == 'audio/mp4; codecs="opus"'
    assert client.events("anima.notice")[-1]["stage"] == "avatar"


async def test_closed_page_frees_its_place(stages: FakeMesh) -> None:
    stages.llm.answer = ["word " * 200]
    async with stages.mesh(capacity=1) as mesh, serving_page(mesh) as page:
        async with page.client() as first:
            await first.configure(media="fmp4")
            await first.ask("hi")
            await first.until("anima.media")
            async with page.client() as second:
                await second.ask("hi")
                error = await second.until("error")
        await until_free(mesh)

    assert error["error"]["code"] == "capacity"


async def test_client_that_does_not_read_loses_its_place(stages: FakeMesh) -> None:
    stages.llm.answer = ["word " * 400]
    limits = EdgeLimits(max_waiting_bytes=100_000, burst_messages=10_000)
    async with (
        stages.mesh() as mesh,
        serving_page(mesh, limits) as page,
        page.client(sock=small_socket(page), compression=None) as client,
    ):
        await client.ask("hi")
        await client.until("response.created")
        client.socket.transport.pause_reading()

        async def flood() -> None:
            while True:
                await client.ask("x" * 8_000)

        flooding = asyncio.create_task(flood())
        await until_free(mesh)
        flooding.cancel()
        await asyncio.wait([flooding])
        client.socket.transport.abort()

    assert len(client.received) < 10


async def until_free(mesh: Mesh) -> None:
    """Waits until no conversation holds a place."""
    async with asyncio.timeout(90):
        while mesh.places.active:  # noqa: ASYNC110 (a count of another part has no event)
            await asyncio.sleep(0.01)


def small_socket(page: Page) -> socket.socket:
    """Makes a connection with a small buffer on its own side."""
    host, _, port = page.address.partition(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect((host, int(port)))
    connection.setblocking(False)
    return connection


async def test_flood_of_messages_is_disconnected(stages: FakeMesh) -> None:
    limits = EdgeLimits(messages_per_s=1, burst_messages=5)
    async with (
        stages.mesh() as mesh,
        serving_page(mesh, limits) as page,
        page.client() as client,
    ):
        for _ in range(6):
            await client.send({"type": "response.cancel"})

        assert await client.closed() == (1008, "too many messages a second")


async def test_who_sends_much_is_read_later(stages: FakeMesh) -> None:
    limits = EdgeLimits(bytes_per_s=100_000, burst_bytes=1_000)
    async with (
        stages.mesh() as mesh,
        serving_page(mesh, limits) as page,
        page.client() as client,
    ):
        for number in range(20):
            await client.send({"type": "nothing", "event_id": f"{number}", "filler": "x" * 2_000})
        answers = [await client.until("error") for _ in range(20)]

    told = [answer["error"]["event_id"] for answer in answers]
    assert told == [str(number) for number in range(20)]


async def test_who_has_used_its_speech_is_told_to_come_later(
    stages: FakeMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On this machine nobody is counted.
    monkeypatch.setattr("gateway.session.session.counted_as", lambda *_, **__: "10.0.0.7")
    async with (
        stages.mesh(speech_minutes_per_hour=0.05) as mesh,
        serving_page(mesh) as page,
        page.client() as client,
    ):
        for _ in range(5):
            await client.socket.send(bytes(24_000 * 2))
        code, reason = await client.closed()

    assert code == 1013
    assert "seconds of speech an hour" in reason


@pytest.mark.parametrize("message", ["x" * 300_000, bytes(70_000)])
async def test_message_that_is_too_big_is_refused(page: Page, message: str | bytes) -> None:
    async with page.client() as client:
        await client.socket.send(message)
        code, reason = await client.closed()

    assert code == 1009
    assert str(len(message)) in reason


async def test_idle_conversation_gives_up_its_place_and_goes_on_later(stages: FakeMesh) -> None:
    limits = EdgeLimits(idle_timeout_s=0.2)
    stages.llm.answer = ["Hi."]
    async with (
        stages.mesh(capacity=1) as mesh,
        serving_page(mesh, limits) as page,
        page.client() as client,
    ):
        await client.ask("hi")
        await client.until("response.done")
        await until_free(mesh)
        await client.ask("hi")
        done = await client.until("response.done")

    assert done["response"]["status"] == "completed"


@pytest.mark.parametrize("us", [None, 1.5, "1", True, 60_000_001, -60_000_001])
async def test_offset_that_is_none_is_refused(page: Page, us: object) -> None:
    async with page.client() as client:
        await client.send({"type": "anima.webrtc.av_offset", "us": us, "event_id": "e1"})
        error = (await client.until("error"))["error"]
        assert error["event_id"] == "e1"
        assert error["message"].startswith("us:")
        await client.send({"type": "anima.webrtc.av_offset", "us": -60_000_000})
        await client.ask("hi")
        await client.until("response.done")
    assert len(client.events("error")) == 1


async def test_files_have_types_a_policy_and_are_asked_for_again(page: Page) -> None:
    async with httpx.AsyncClient(base_url=f"http://{page.address}") as http:
        index = await http.get("/")
        script = await http.get("/static/app.js")
        again = await http.get("/static/app.js", headers={"if-none-match": script.headers["etag"]})
        sprite = await http.get("/static/icons/sprite.svg")
        missing = await http.get("/static/../edge.py")

    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert sprite.headers["content-type"] == "image/svg+xml"
    for response in (index, script, sprite):
        assert "script-src 'self'" in response.headers["content-security-policy"]
        assert "unsafe" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-cache"
    assert again.status_code == 304
    assert missing.status_code == 404
    assert "http" not in index.text.replace("http-equiv", "")
