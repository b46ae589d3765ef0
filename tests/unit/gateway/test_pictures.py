"""A picture that a person shows reaches the model small and without metadata, by every door."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from cli.main import app
from gateway.pictures.limits import MAX_JPEG_BYTES, MAX_PICTURE_BYTES, MAX_PICTURES, MAX_SIDE_PX
from gateway.session.session import Session
from services.runtime.errors import AnimaError, InvalidRequest
from testing.fakes.mesh import FakeMesh
from tests.unit.gateway.conversing import conversation, grpc_conversation
from tests.unit.gateway.test_rest import problem, site, spoken
from tests.unit.web.clients import serving_page

TEXT_ONLY = pb.ConverseConfig(text_only=True)
WHAT = "What is this?"


def picture(
    kind: str = "JPEG", size: tuple[int, int] = (64, 48), colour: str = "red", **options: Any
) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind, **options)
    return file.getvalue()


def with_metadata() -> bytes:
    """A photo as a phone takes it: upright by its EXIF data, with the place where it was taken."""
    exif = Image.Exif()
    exif[0x0110] = "Secretphone 7"  # the camera
    exif[0x0112] = 6  # turned by a quarter
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 29.9)  # the latitude
    return picture(size=(64, 48), exif=exif, comment=b"a secret comment")


def seen(config: llm.GenerateConfig) -> list[Image.Image]:
    """The pictures that the model was given, decoded."""
    return [Image.open(io.BytesIO(one.jpeg)) for one in config.pictures]


def is_red(image: Image.Image) -> bool:
    red, green, blue = image.convert("RGB").getpixel((1, 1))  # type: ignore[misc]
    return bool(red > 200 and green < 60 and blue < 60)


@asynccontextmanager
async def session() -> AsyncIterator[tuple[FakeMesh, Session, Any]]:
    async with FakeMesh() as fake, fake.mesh() as mesh, conversation(mesh, TEXT_ONLY) as opened:
        yield fake, *opened


def last_config(fake: FakeMesh) -> llm.GenerateConfig:
    config: llm.GenerateConfig = fake.llm.configs[-1]
    return config


async def over_grpc(file: bytes) -> llm.GenerateConfig:
    async with FakeMesh() as fake, fake.gateway() as gateway:
        async with grpc_conversation(gateway, TEXT_ONLY) as (send, said):
            half = len(file) // 2
            for piece, more in ((file[:half], True), (file[half:], False)):
                await send(pb.ConverseRequest(picture=pb.PictureChunk(data=piece, more=more)))
            await send(pb.ConverseRequest(text=pb.TextInput(text=WHAT)))
            await said.until_kind("turn_ended")
        return last_config(fake)


async def over_websocket(file: bytes) -> llm.GenerateConfig:
    async with FakeMesh() as fake, fake.mesh() as mesh, serving_page(mesh) as page:
        async with page.client() as client:
            await client.until("session.created")
            data = base64.b64encode(file).decode()
            cut = len(data) // 8 * 4
            for piece, more in ((data[:cut], True), (data[cut:], False)):
                await client.send({"type": "anima.picture.append", "data": piece, "more": more})
            await client.ask(WHAT)
            await client.until("response.done")
        return last_config(fake)


async def over_rest(file: bytes) -> llm.GenerateConfig:
    async with site() as (fake, _, client):
        response = await client.post("/v1/ask", data={"text": WHAT}, files={"picture": file})
        assert response.status_code == 200, response.text
        return last_config(fake)


async def by_command(file: bytes) -> llm.GenerateConfig:
    async with FakeMesh() as fake, fake.gateway() as gateway:
        result = await asyncio.to_thread(asked_by_command, file, gateway.address)
        assert result.exit_code == 0, result.output
        return last_config(fake)


def asked_by_command(file: bytes, address: str) -> Result:
    with NamedTemporaryFile() as image:
        image.write(file)
        image.flush()
        arguments = ["ask", WHAT, "--image", image.name, "--gateway", address]
        return CliRunner().invoke(app, arguments)


DOORS = (over_grpc, over_websocket, over_rest, by_command)
Door = Callable[[bytes], Awaitable[llm.GenerateConfig]]


@pytest.mark.parametrize("door", DOORS)
async def test_a_picture_reaches_the_model_without_what_it_tells(door: Door) -> None:
    config = await door(with_metadata())
    assert config.question == WHAT
    (image,) = seen(config)
    assert image.format == "JPEG"
    assert is_red(image)
    assert image.size == (48, 64), "it stands upright"
    jpeg = config.pictures[0].jpeg
    assert not image.getexif()
    assert b"Secretphone" not in jpeg
    assert b"secret comment" not in jpeg


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_large_pictures_of_every_format_become_small(kind: str) -> None:
    async with session() as (fake, shown, said):
        await shown.picture(picture(kind, size=(3_000, 1_500)))
        await shown.text(WHAT)
        await said.until_kind("turn_ended")
        (image,) = seen(fake.llm.configs[-1])
        assert image.size == (MAX_SIDE_PX, MAX_SIDE_PX // 2)
        assert is_red(image)


async def test_noise_fits_into_a_message() -> None:
    noise = Image.effect_noise((2_000, 2_000), 255).convert("RGB")
    file = io.BytesIO()
    noise.save(file, "PNG")
    async with session() as (fake, shown, said):
        for _ in range(MAX_PICTURES):
            await shown.picture(file.getvalue())
        await shown.text(WHAT)
        await said.until_kind("turn_ended")
        sizes = [len(one.jpeg) for one in fake.llm.configs[-1].pictures]
        assert len(sizes) == MAX_PICTURES
        assert max(sizes) <= MAX_JPEG_BYTES


async def test_it_belongs_to_one_question_and_stays_in_the_history() -> None:
    async with session() as (fake, shown, said):
        await shown.picture(picture())
        await shown.text(WHAT)
        await said.until_kind("turn_ended")
        await shown.text("And what colour is it?")
        await said.until_kind("turn_ended", 2)
        first, second = fake.llm.configs
        assert len(first.pictures) == 1
        assert not second.pictures
        assert [len(message.pictures) for message in second.history] == [1, 0]
        await shown.picture(picture(colour="blue"))
        await shown.text("And this?")
        await said.until_kind("turn_ended", 3)
        await shown.text("Thanks.")
        await said.until_kind("turn_ended", 4)
        kept = [len(message.pictures) for message in fake.llm.configs[-1].history]
        assert kept == [0, 0, 0, 0, 1, 0], "only the last ones are kept"


async def test_what_is_dropped_is_not_shown() -> None:
    async with session() as (fake, shown, said):
        await shown.picture(picture())
        await shown.picture(b"")
        await shown.text(WHAT)
        await said.until_kind("turn_ended")
        assert not fake.llm.configs[-1].pictures


@pytest.mark.parametrize(
    ("file", "reason", "text"),
    [
        (b"GIF89a" + bytes(100), "NOT_AN_IMAGE", "JPEG, PNG or WebP"),
        (picture()[:200], "NOT_AN_IMAGE", "damaged"),
        (bytes(MAX_PICTURE_BYTES + 1), "IMAGE_TOO_LARGE", "at most"),
        (picture("PNG", size=(12_000, 6_000)), "IMAGE_TOO_LARGE", "64 megapixels, got 72"),
    ],
    ids=["gif", "cut", "bytes", "pixels"],
)
async def test_what_is_no_picture_is_refused_and_the_session_goes_on(
    file: bytes, reason: str, text: str
) -> None:
    async with session() as (fake, shown, said):
        with pytest.raises(InvalidRequest, match=text) as caught:
            await shown.picture(file)
        assert caught.value.reason == reason
        await shown.text("Hello?")
        await said.until_kind("turn_ended")
        assert not fake.llm.configs[-1].pictures


async def test_pieces_cannot_add_up_to_more() -> None:
    async with session() as (_, shown, __):
        piece = bytes(1 << 20)
        for _ in range(MAX_PICTURE_BYTES >> 20):
            await shown.picture(piece, more=True)
        with pytest.raises(InvalidRequest, match="at most"):
            await shown.picture(piece, more=True)


async def test_too_many_are_refused() -> None:
    async with session() as (_, shown, __):
        for _ in range(MAX_PICTURES):
            await shown.picture(picture())
        with pytest.raises(AnimaError, match=f"at most {MAX_PICTURES}"):
            await shown.picture(picture())


async def test_a_spoken_question_has_its_picture_too() -> None:
    async with site() as (fake, _, client):
        fake.asr.texts = [WHAT]
        response = await client.post("/v1/ask", files={"audio": spoken(), "picture": picture()})
        assert response.status_code == 200, response.text
        assert len(seen(fake.llm.configs[-1])) == 1


async def test_rest_says_what_is_wrong_with_a_picture() -> None:
    async with site() as (_, __, client):
        refused = await client.post(
            "/v1/ask", data={"text": WHAT}, files={"picture": b"no picture"}
        )
        assert "JPEG, PNG or WebP" in problem(refused, 422)
        words = {name: (None, value) for name, value in (("text", WHAT), ("picture", "words"))}
        refused = await client.post("/v1/ask", files=words)
        assert problem(refused, 422) == "picture: must be a file"


async def test_the_websocket_says_what_is_wrong_with_a_picture() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh, serving_page(mesh) as page:
        async with page.client() as client:
            for data in ("###", 7, base64.b64encode(b"no picture").decode()):
                await client.send({"type": "anima.picture.append", "data": data})
                error = await client.until("error")
                print(error["error"]["message"])
            await client.ask(WHAT)
            await client.until("response.done")
        assert not fake.llm.configs[-1].pictures
