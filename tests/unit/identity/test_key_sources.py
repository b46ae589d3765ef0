"""Keys that change while a server runs, in a file and at an address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.runtime.errors import Unauthenticated, Unavailable
from services.runtime.identity.key_address import KeyAddress
from services.runtime.identity.key_sources import MAX_KEYS_BYTES, KeyFile
from services.runtime.identity.settings import IdentitySettings
from services.runtime.identity.signed_tokens import SignedTokenVerifier
from services.runtime.identity.signing import SigningKey
from tests.unit.identity.tokens import KEY, jwks, key_file, token

SETTINGS = IdentitySettings()


class KeyServer:
    """An HTTP server of one answer that may change; counts the requests."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.head = b"200 OK"
        self.requests = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        self.asked.set()
        await self.may_answer.wait()
        length = b"content-length: %d" % len(self.content)
        writer.write(b"HTTP/1.1 " + self.head + b"\r\n" + length + b"\r\n\r\n" + self.content)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def key_server(content: bytes) -> AsyncIterator[tuple[KeyServer, str]]:
    served = KeyServer(content)
    server = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield served, f"http://127.0.0.1:{port}/jwks"
    finally:
        served.may_answer.set()
        server.close()


async def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    new = SigningKey.new()
    source = KeyFile(key_file(tmp_path), refresh_s=0, pause_s=-1)
    checking = SignedTokenVerifier([source], SETTINGS)
    assert (await checking.of_token(token())).user_id == "ada"

    key_file(tmp_path, new)
    assert (await checking.of_token(token("bob", key=new))).user_id == "bob"
    # The old key is gone, and with it the tokens that were accepted.
    with pytest.raises(Unauthenticated, match="not known"):
        await checking.of_token(token())
    await checking.close()


async def test_a_file_that_breaks_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    source = KeyFile(key_file(tmp_path), pause_s=-1)
    for content in (b"", b"{", None):
        if content is None:
            (tmp_path / "keys.json").unlink()
        else:
            (tmp_path / "keys.json").write_bytes(content)
        with capture_logs() as logs:
            await source.refresh()
        assert [entry["event"] for entry in logs] == ["keys could not be read"]
        assert [key.kid for key in source.keys] == [KEY.kid]


async def test_keys_come_from_an_address_when_they_are_needed() -> None:
    async with key_server(jwks(KEY)) as (served, url):
        checking = SignedTokenVerifier([KeyAddress(url)], SETTINGS)
        users = await asyncio.gather(*(checking.of_token(token(f"u{n}")) for n in range(5)))
        await checking.close()

    assert [user.user_id for user in users] == ["u0", "u1", "u2", "u3", "u4"]
    assert served.requests == 1


async def test_an_unknown_key_makes_the_address_be_asked_but_not_by_everybody() -> None:
    new = SigningKey.new()
    async with key_server(jwks(KEY)) as (served, url):
        source = KeyAddress(url, pause_s=-1)
        checking = SignedTokenVerifier([source], SETTINGS)
        await checking.of_token(token())
        served.content = jwks(KEY, new)
        assert (await checking.of_token(token("bob", key=new))).user_id == "bob"
        assert served.requests == 2

        source._pause_s = 1000
        for _ in range(20):
            with pytest.raises(Unauthenticated):
                await checking.of_token(token("eve", key=SigningKey.new()))
        assert served.requests == 2
        await checking.close()


async def test_old_keys_are_renewed_in_the_background() -> None:
    async with key_server(jwks(KEY)) as (served, url):
        source = KeyAddress(url, refresh_s=0)
        checking = SignedTokenVerifier([source], SETTINGS)
        await checking.of_token(token())
        served.asked.clear()
        served.may_answer.clear()
        # Answered at once, while the address is being asked.
        assert (await checking.of_token(token())).user_id == "ada"
        await served.asked.wait()
        await checking.close()


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (b"500 Internal Server Error", b"{}"),
        (b"302 Found\r\nlocation: /other", b""),
        (b"200 OK", b"<html>"),
        (b"200 OK", b"{" + b" " * (MAX_KEYS_BYTES + 1)),
        (b"200 OK", b"ab" * 32),
        (b"nonsense", b""),
    ],
)
async def test_an_address_without_keys_is_no_reason_to_blame_the_caller(
    head: bytes, content: bytes
) -> None:
    async with key_server(content) as (served, url):
        served.head = head
        checking = SignedTokenVerifier([KeyAddress(url, pause_s=-1)], SETTINGS)
        with capture_logs() as logs, pytest.raises(Unavailable) as caught:
            await checking.of_token(token())
        assert caught.value.reason == "KEYS_UNAVAILABLE"
        assert logs[0]["event"] == "keys could not be read"

        served.head, served.content = b"200 OK", jwks(KEY)
        assert (await checking.of_token(token())).user_id == "ada"
        await checking.close()


async def test_an_address_that_says_nothing_is_given_up() -> None:
    async with key_server(jwks(KEY)) as (served, url):
        served.may_answer.clear()
        checking = SignedTokenVerifier([KeyAddress(url, timeout_s=0.05)], SETTINGS)
        with pytest.raises(Unavailable):
            await checking.of_token(token())
        await checking.close()


async def test_an_address_that_fails_later_leaves_the_keys_as_they_were() -> None:
    async with key_server(jwks(KEY)) as (_, url):
        source = KeyAddress(url, pause_s=-1)
        checking = SignedTokenVerifier([source], SETTINGS)
        await checking.of_token(token())
    await source.refresh()

    assert (await checking.of_token(token("bob"))).user_id == "bob"
    await checking.close()
