"""The HTTP edge: good answers, and an exact error for every bad request."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import Any

import av
import httpx
import numpy as np
import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.http.app import create_app
from gateway.http.ask.media_files import to_wav
from gateway.http.ask.recordings import Recordings
from gateway.http.server import HttpServer
from gateway.session.session import Session
from gateway.settings import GatewaySettings
from gateway.stages.mesh import Mesh
from gateway.stages.spec import STAGES
from services.runtime.config.settings import SettingsError
from services.runtime.errors import Unavailable
from testing.fakes.mesh import FakeMesh


@asynccontextmanager
async def site(
    running: FakeMesh | None = None, *, job: str = "gateway.http.ask.decoding", **changes: Any
) -> AsyncIterator[tuple[FakeMesh, Mesh, httpx.AsyncClient]]:
    """Serves REST in front of scripted stages, given ones or its own."""
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(FakeMesh()) if running is None else running
        mesh = await stack.enter_async_context(fake.mesh(**changes))
        recordings = stack.enter_context(closing(Recordings(job)))
        server = HttpServer(create_app(mesh, recordings=recordings), mesh.settings)
        await server.start()
        try:
            async with httpx.AsyncClient(
                base_url=f"http://{server.address}", timeout=20, trust_env=False
            ) as client:
                yield fake, mesh, client
        finally:
            await server.stop()


def spoken() -> bytes:
    samples = np.zeros(32_000, "<i2")
    samples[4000:12_000] = samples[20_000:28_000] = 9000
    return to_wav(samples.tobytes(), sample_rate_hz=16_000)


def problem(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    return str(body["detail"])


async def test_film() -> None:
    async with site() as (_, __, client):
        response = await client.post(
            "/v1/ask", json={"text": "Hello?"}, headers={"accept": "video/mp4"}
        )
        assert response.status_code == 200
        assert response.headers["content-type"] == "video/mp4"
        with av.open(io.BytesIO(response.content), mode="r") as film:
            pictures = len(list(film.decode(video=0)))
            seconds = [float((s.duration or 0) * (s.time_base or 0)) for s in film.streams]
        assert seconds[0] == pytest.approx(pictures / 25)
        assert abs(seconds[0] - seconds[1]) <= 0.04


async def test_sound_of_a_spoken_question_with_a_pause() -> None:
    async with site() as (fake, _, client):
        response = await client.post(
            "/v1/ask?format=wav",
            files={"audio": ("q.wav", spoken())},
            data={"language": "en"},
        )
        assert response.headers["content-type"] == "audio/wav"
        assert response.content[:4] == b"RIFF"
        assert not fake.avatar.configs, "nobody gets the pictures"
        assert len(fake.llm.configs) == 1
        assert fake.llm.configs[0].question == "what can you do"
        assert fake.asr.configs[0].endpointing.end_silence_ms > 60_000


@pytest.mark.parametrize(
    ("act", "why"),
    [
        ("segfault", "it seems to be damaged"),
        ("allocate", "its decoder ran out of memory"),
        ("connect", "it seems to be damaged"),
        ("shout", "it seems to be damaged"),
    ],
)
async def test_a_recording_that_breaks_its_decoder_breaks_nothing_else(act: str, why: str) -> None:
    async with site(job="testing.hostile.recording") as (_, __, client):
        command = json.dumps({"act": act, "port": 9}).encode()
        refused = await client.post("/v1/ask", files={"audio": ("q.wav", command)})
        assert f"audio: the file cannot be decoded as audio: {why}" in problem(refused, 415)
        answered = await client.post("/v1/ask", files={"audio": ("q.wav", spoken())})
        assert answered.status_code == 200


async def test_text_subtitles_and_stage_times() -> None:
    async with site() as (_, __, client):
        body = (await client.post("/v1/ask", json={"text": "Hello?", "user_id": "eve"})).json()
        assert body["text"] == "This is the first clause, and this is the rest. Bye now."
        assert body["question"] == "Hello?"
        assert body["subtitles"]["vtt"].startswith("WEBVTT")
        assert "Bye now." in body["subtitles"]["srt"]
        assert body["first_media_ms"] > 0
        assert {"memory", "llm", "tts", "playout"} <= {span["stage"] for span in body["spans"]}
        assert body["sources"][0]["name"] == "hello"
        for word in body["words"]:
            assert body["text"][word["start_char"] : word["end_char"]] == word["text"]


async def test_mesh_lists_stages_and_choices() -> None:
    async with site() as (_, __, client):
        mesh = (await client.get("/v1/mesh")).json()
        assert [stage["stage"] for stage in mesh["stages"]] == list(STAGES)
        assert all(stage["engine"]["name"] for stage in mesh["stages"])
        assert mesh["personas"][0]["name"] == "ani"


async def test_idle_loop() -> None:
    async with site() as (_, __, client):
        loop = await client.get("/v1/avatars/ani/idle.mp4?width_px=512&height_px=512")
        with av.open(io.BytesIO(loop.content), mode="r") as film:
            assert len(list(film.decode(video=0))) == 50
        assert "'x'" in problem(await client.get("/v1/avatars/x/idle.mp4"), 404)
        listening = await client.get("/v1/avatars/ani/idle.mp4?activity=listening")
        assert listening.status_code == 200
        assert "'x'" in problem(await client.get("/v1/avatars/ani/idle.mp4?activity=x"), 422)


WRONG_JSON = [
    (b"", 400, "not JSON"),
    (b"{", 400, "not JSON"),
    (b"\xff\xfe", 400, "not UTF-8"),
    (b"[" * 100_000, 400, "not JSON"),
    (b"[]", 422, "JSON object"),
    (b"{}", 422, "text"),
    (b'{"text": ""}', 422, "text"),
    (b'{"text": "  "}', 422, "text"),
    (b'{"text": 7}', 422, "text"),
    (b'{"text": "\\u0000"}', 422, "text"),
    (b'{"text": "\\ud800"}', 422, "text"),
    (b'{"text": "a", "persona": "\\ud800"}', 422, "persona: is not valid Unicode"),
    (b'{"text": "a", "tone": 1}', 422, "tone"),
    (b'{"text": "a", "video": {"width_px": NaN}}', 422, "video.width_px"),
    (b'{"text": "a", "video": {"width_px": -2}}', 422, "video.width_px"),
    (b'{"text": "a", "video": {"width_px": 3}}', 422, "video.width_px"),
    (b'{"text": "a", "video": {"height_px": 99999999999}}', 422, "video.height_px"),
    (b'{"text": "a", "persona": "x"}', 404, "there are: ani"),
    (b'{"text": "a", "voice": "x"}', 404, "amy"),
    (b'{"text": "a", "avatar": "x"}', 404, "ani"),
    (b'{"text": "a", "language": "?!"}', 422, "language"),
    (json.dumps({"text": "a", "user_id": "u" * 200}).encode(), 422, "user_id"),
    (json.dumps({"text": "a" * 8001}).encode(), 422, "got 8001"),
    (b" " * 300_000, 413, "at most"),
]


async def test_wrong_json_is_named() -> None:
    async with site() as (_, __, client):
        for body, status, text in WRONG_JSON:
            response = await client.post(
                "/v1/ask", content=body, headers={"content-type": "application/json"}
            )
            assert text in problem(response, status), body[:80]
        assert (await client.post("/v1/ask", json={"text": "Hello?"})).status_code == 200


async def test_wrong_forms_are_named() -> None:
    async with site() as (fake, _, client):

        async def ask(**request: Any) -> httpx.Response:
            return await client.post("/v1/ask", **request)

        wav = spoken()
        assert "audio" in problem(await ask(files={"audio": ("a", b"x" * 99)}), 415)
        assert "empty" in problem(await ask(files={"audio": ("a", b"")}), 422)
        assert "audio" in problem(await ask(files={"audio": ("a.wav", wav[:30])}), 415)
        assert "`audio`" in problem(await ask(files={"video": ("a", b"x")}), 422)
        assert "combined" in problem(
            await ask(files={"audio": ("a", wav)}, data={"text": "x"}), 422
        )
        assert "tone" in problem(await ask(files={"audio": ("a", wav)}, data={"tone": "x"}), 422)
        long = to_wav(bytes(2 * 8000 * 61), sample_rate_hz=8000)
        assert "60 s" in problem(await ask(files={"audio": ("a", long)}), 413)
        huge = b"RIFF" + bytes(21 * 1024 * 1024)
        assert "at most" in problem(await ask(files={"audio": ("a", huge)}), 413)
        multipart = {"content-type": "multipart/form-data"}
        assert "boundary" in problem(await ask(content=b"x", headers=multipart), 400)
        assert "text/plain" in problem(
            await ask(content=b"x", headers={"content-type": "text/plain"}), 415
        )
        json_request = {"json": {"text": "Hello?"}}
        assert "accept" in problem(await ask(**json_request, headers={"accept": "image/png"}), 406)
        assert "format" in problem(await ask(**json_request, params={"format": "avi"}), 422)
        fake.asr.texts = [""]
        assert "understand" in problem(await ask(files={"audio": ("a", wav)}), 422)
        assert problem(await client.get("/v1/ask"), 405)
        assert "/nowhere" in problem(await client.get("/nowhere"), 404)
        assert (await ask(**json_request)).status_code == 200


async def test_full_gateway_says_when_to_come_again() -> None:
    async with site(capacity=1) as (_, mesh, client):
        async with Session.open(mesh, pb.ConverseConfig()):
            response = await client.post("/v1/ask", json={"text": "Hello?"})
            assert "places" in problem(response, 429)
            assert int(response.headers["retry-after"]) >= 1
        assert (await client.post("/v1/ask", json={"text": "Hello?"})).status_code == 200


async def test_question_is_answered_during_a_drain_only_if_it_came_before() -> None:
    async with site() as (fake, mesh, client):
        more = asyncio.Event()
        fake.llm.answer = ["Well, this comes first,", more, " and this comes after the signal."]
        early = asyncio.create_task(client.post("/v1/ask", json={"text": "Tell me."}))
        async with asyncio.timeout(90):
            while not fake.tts.segments:
                await fake.tts.made.get()
        mesh.drain.begin()
        late = await client.post("/v1/ask", json={"text": "And this?"})
        assert "being restarted" in problem(late, 503)
        more.set()
        answer = (await early).json()
        assert answer["text"].endswith("after the signal.")


async def test_failing_stage_is_503_and_no_picture_is_no_film() -> None:
    async with site(open_timeout_ms=200, avatar_open_timeout_ms=200) as (fake, mesh, client):
        await mesh.catalogue.read()
        await fake.stop("avatar")
        film = await client.post("/v1/ask?format=mp4", json={"text": "Hello?"})
        assert "my face" in problem(film, 503)
        assert (await client.post("/v1/ask", json={"text": "Hello?"})).status_code == 200
        await fake.stop("tts")
        response = await client.post("/v1/ask", json={"text": "Hello?"})
        assert "My voice" in problem(response, 503)
        assert "retry-after" in response.headers


async def test_client_that_goes_away_frees_its_place() -> None:
    async with site() as (fake, _, client):
        fake.llm.stuck = True
        asking = asyncio.create_task(client.post("/v1/ask", json={"text": "Hello?"}))
        async with asyncio.timeout(90):
            while not fake.llm.open_streams:
                await asyncio.wait([asking], timeout=0.01)
            asking.cancel()
            await asyncio.wait([asking])
            while fake.llm.open_streams:
                await fake.llm.stream_ended.wait()


async def test_people_read_what_failed_without_the_name_of_a_stage() -> None:
    async with site() as (fake, _, client):
        fake.llm.refuse = Unavailable("cuda: out of memory")
        response = await client.post("/v1/ask", json={"text": "Hello?"})
        assert problem(response, 503).startswith("The part of me that thinks has failed")
        assert response.json()["stage"] == "llm"


async def test_a_film_without_pictures_is_refused_in_the_words_of_the_notice() -> None:
    async with site() as (fake, _, client):
        fake.avatar.fail_with = Unavailable("no picture")
        response = await client.post("/v1/ask?format=mp4", json={"text": "Hello?"})
        assert problem(response, 503).startswith("I cannot show my face")
        assert response.json()["stage"] == "avatar"


async def test_token_is_demanded() -> None:
    async with site(token="secret") as (_, __, client):
        for headers in (
            {"x-none": ""},
            {"authorization": "Bearer wrong"},
            {"authorization": "secret"},
        ):
            response = await client.get("/v1/mesh", headers=headers)
            assert "authorization" in problem(response, 401)
            assert response.headers["www-authenticate"] == "Bearer"
        assert problem(await client.post("/v1/ask", json={"text": "Hello?"}), 401)
        right = {"authorization": "Bearer secret"}
        assert (await client.get("/v1/mesh", headers=right)).status_code == 200
        assert (await client.get("/healthz")).status_code == 200


async def test_other_sites_are_refused() -> None:
    async with site() as (_, __, client):
        assert "host" in problem(await client.get("/v1/mesh", headers={"host": "evil.test"}), 400)
        assert "host" in problem(await client.get("/", headers={"host": "[::1"}), 400)
        response = await client.get("/v1/mesh", headers={"origin": "http://evil.test"})
        assert "origin" in problem(response, 403)
        own = {"origin": str(client.base_url).rstrip("/")}
        response = await client.get("/v1/mesh", headers=own)
        assert response.status_code == 200
        assert "access-control-allow-origin" not in response.headers


def test_open_address_needs_a_token() -> None:
    with pytest.raises(SettingsError, match="ANIMA_GATEWAY_HTTP_LISTEN"):
        GatewaySettings.from_environment({"ANIMA_GATEWAY_HTTP_LISTEN": "0.0.0.0:8080"})
    settings = GatewaySettings.from_environment(
        {"ANIMA_GATEWAY_HTTP_LISTEN": "0.0.0.0:8080", "ANIMA_TOKEN": "t"}
    )
    assert settings.token == "t"
