"""What somebody without the token can hold at the HTTP port: little, and not for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.http.connection.connections import ConnectionTable, authenticated
from gateway.http.connection.places import AddressGroups
from gateway.http.server import HttpServer
from gateway.settings import GatewaySettings

HEAD = b"GET /page HTTP/1.1\r\nhost: localhost\r\n"
FOR_EVER = 60.0


class Client:
    """A TCP connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def response(self) -> str:
        """Reads a response and returns its status line and body."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        size = int(head.lower().partition("content-length: ")[2].partition("\r")[0])
        return head.partition("\r")[0] + " " + (await self._reader.readexactly(size)).decode()

    async def get(self, path: str) -> str:
        await self.send(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        return await self.response()

    async def rest(self) -> bytes:
        """Reads until the server closes; a reset is an end too."""
        try:
            return await self._reader.read()
        except ConnectionError:
            return b""

    async def drip(self, data: bytes) -> None:
        """Sends one byte after the other, in intervals, until the server closes."""
        closed = asyncio.create_task(self.rest())
        try:
            while not closed.done():
                await self.send(data)
                await asyncio.wait([closed], timeout=0.01)
        except ConnectionError:
            await closed

    def close(self) -> None:
        self._writer.close()


class Site:
    """A server, and the clients of a test."""

    def __init__(self, address: str) -> None:
        self._port = int(address.rpartition(":")[2])
        self._clients: list[Client] = []

    async def connect(self, own: str = "127.0.0.1") -> Client:
        client = Client(
            *await asyncio.open_connection("127.0.0.1", self._port, local_addr=(own, 0))
        )
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()


@asynccontextmanager
async def site(**settings: object) -> AsyncIterator[Site]:
    """Serves `/page` to everybody, and `/known`, whose clients count as authenticated."""

    async def page(request: Request) -> Response:
        return PlainTextResponse("a page")

    async def known(request: Request) -> Response:
        authenticated(request.scope)
        return PlainTextResponse("known")

    app = Starlette(routes=[Route("/page", page), Route("/known", known)])
    values = {
        "http_listen": "127.0.0.1:0",
        "http_first_byte_timeout_s": FOR_EVER,
        "http_head_timeout_s": FOR_EVER,
        **settings,
    }
    server = HttpServer(app, GatewaySettings.model_validate(values))
    await server.start()
    served = Site(server.address)
    try:
        async with asyncio.timeout(90):
            yield served
    finally:
        served.close()
        await server.stop()


@pytest.mark.parametrize("start", [b"", b"G", HEAD, HEAD + b"x-a: "])
async def test_a_client_that_sends_no_whole_head_is_disconnected(start: bytes) -> None:
    async with site(http_first_byte_timeout_s=0.2, http_head_timeout_s=0.2) as served:
        client = await served.connect()
        await client.send(start)
        assert await client.rest() == b""


async def test_a_client_that_drips_is_disconnected() -> None:
    async with site(http_head_timeout_s=0.2) as served:
        client = await served.connect()
        await client.send(HEAD + b"x-a: ")
        await client.drip(b"a")


async def test_the_head_of_the_next_request_has_the_same_time() -> None:
    async with site(http_head_timeout_s=0.5) as served:
        client = await served.connect()
        assert await client.get("/page") == "HTTP/1.1 200 OK a page"
        assert await client.get("/known") == "HTTP/1.1 200 OK known"
        await client.send(HEAD)
        await client.drip(b"x")


async def test_a_body_that_nobody_reads_does_not_hold_the_connection() -> None:
    async with site(http_head_timeout_s=0.2) as served:
        client = await served.connect()
        await client.send(b"POST /page HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999\r\n\r\n")
        assert "405" in await client.response()
        await client.drip(b"x")


async def test_requests_in_one_packet_are_all_answered() -> None:
    async with site(http_head_timeout_s=1) as served:
        client = await served.connect()
        await client.send((HEAD + b"\r\n") * 3 + HEAD)
        for _ in range(3):
            assert await client.response() == "HTTP/1.1 200 OK a page"
        await client.drip(b"x")


async def test_a_page_gets_a_place_among_idle_connections() -> None:
    async with site(http_waiting=4) as served:
        idle = [await served.connect() for _ in range(40)]
        page = await served.connect()
        assert await page.get("/page") == "HTTP/1.1 200 OK a page"
        for client in idle[:30]:
            assert await client.rest() == b""
        assert await idle[-1].get("/page") == "HTTP/1.1 200 OK a page"


async def test_the_connection_that_is_idle_longest_is_closed() -> None:
    async with site(http_unauthenticated=2) as served:
        busy = await served.connect()
        idle = await served.connect()
        assert await idle.get("/page")
        assert await busy.get("/page")
        assert await (await served.connect()).get("/page")
        assert await idle.rest() == b""
        assert await busy.get("/page")


async def test_a_client_that_is_known_is_not_closed_for_others() -> None:
    async with site(http_unauthenticated=2) as served:
        known = await served.connect()
        await known.get("/known")
        strangers = [await served.connect() for _ in range(10)]
        for stranger in strangers:
            assert await stranger.get("/page")
        assert await strangers[0].rest() == b""
        assert await known.get("/known") == "HTTP/1.1 200 OK known"


async def test_clients_that_are_known_are_bounded_too() -> None:
    async with site(http_connections=3) as served:
        known = [await served.connect() for _ in range(3)]
        for client in known:
            await client.get("/known")
        refused = await served.connect()
        await refused.send(HEAD + b"\r\n")
        assert await refused.rest() == b""
        known[0].close()
        await known[0].rest()
        assert await known[1].get("/page") == "HTTP/1.1 200 OK a page"


async def test_one_address_does_not_close_the_connections_of_another() -> None:
    limits = {"http_waiting_per_address": 2, "http_proxies": ()}
    async with site(**limits) as served:
        quiet = await served.connect("127.0.0.1")
        many = [await served.connect("127.0.0.2") for _ in range(20)]
        for client in many[:18]:
            assert await client.rest() == b""
        assert await quiet.get("/page") == "HTTP/1.1 200 OK a page"
        assert await many[-1].get("/page") == "HTTP/1.1 200 OK a page"


async def test_one_address_has_few_places_after_its_requests_too() -> None:
    limits = {"http_unauthenticated_per_address": 2, "http_proxies": ()}
    async with site(**limits) as served:
        quiet = await served.connect("127.0.0.1")
        assert await quiet.get("/page")
        many = [await served.connect("127.0.0.2") for _ in range(20)]
        for client in many:
            assert await client.get("/page")
        for client in many[:18]:
            assert await client.rest() == b""
        assert await quiet.get("/page") == "HTTP/1.1 200 OK a page"
        assert await many[-1].get("/page") == "HTTP/1.1 200 OK a page"


async def test_connections_through_a_proxy_are_not_limited_per_address() -> None:
    limits: dict[str, object] = {
        "http_waiting_per_address": 2,
        "http_unauthenticated_per_address": 2,
        "http_proxies": ("127.0.0.0/8",),
    }
    async with site(**limits) as served:
        clients = [await served.connect() for _ in range(20)]
        assert [await client.get("/page") for client in clients] == ["HTTP/1.1 200 OK a page"] * 20


async def test_what_is_not_http_is_refused_with_the_security_headers() -> None:
    async with site() as served:
        client = await served.connect()
        await client.send(b"\x16\x03\x01 hello\r\n\r\n")
        answer = (await client.rest()).lower()
        assert answer.startswith(b"http/1.1 400")
        assert b"x-content-type-options: nosniff" in answer
        assert b"cross-origin-resource-policy: same-origin" in answer


async def test_a_broken_handshake_is_refused_with_the_security_headers() -> None:
    async with site() as served:
        client = await served.connect()
        await client.send(HEAD + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n")
        answer = (await client.rest()).lower()
        assert answer.startswith(b"http/1.1 4")
        assert b"cross-origin-resource-policy: same-origin" in answer


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    closed: list[str] = []

    def closes(name: str) -> Callable[[], None]:
        return lambda: closed.append(name)

    groups = AddressGroups(proxies=("10.0.0.0/8",))
    table = ConnectionTable(most=9, unauthenticated=9, per_address=1, groups=groups)
    table.opened("2001:db8::1", closes("first"))
    table.opened("2001:db8::2", closes("second"))
    table.opened("2001:db8:0:1::1", closes("other network"))
    table.opened("::ffff:192.0.2.1", closes("mapped"))
    table.opened("192.0.2.1", closes("the same, not mapped"))
    table.opened("10.0.0.1", closes("proxy"))
    table.opened("::ffff:10.0.0.1", closes("proxy"))
    assert closed == ["first", "mapped"]
    assert len(table) == 5
