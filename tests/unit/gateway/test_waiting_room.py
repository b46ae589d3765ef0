"""Connections that wait for the head of a request, without a server behind them."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.http.connection.places import AddressGroups
from gateway.http.connection.waiting_room import WaitingRoom
from services.runtime.process.tasks import beside

HEAD = b"GET /page HTTP/1.1\r\nhost: localhost\r\n"
FOR_EVER = 60.0


@contextmanager
def no_descriptor_left() -> Iterator[Callable[[], None]]:
    """Lowers the limit of descriptors to what is open; yields a function that raises it again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def release() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    holes = [os.open("/dev/null", os.O_RDONLY)]
    while holes[-1] < highest:
        holes.append(os.open("/dev/null", os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(holes[-1], highest) + 1, hard))
    try:
        yield release
    finally:
        release()
        for descriptor in holes:
            os.close(descriptor)


class Hall:
    """A waiting room on a socket of its own.

    Attributes:
        admitted: What was read from each connection that was handed on.
    """

    def __init__(self, make_room: Callable[[], bool], **limits: float) -> None:
        self.admitted: list[bytes] = []
        self.connections: list[socket.socket] = []
        values: dict[str, Any] = {
            "most": 100, "per_address": 100, "first_byte_timeout_s": FOR_EVER,
            "head_timeout_s": FOR_EVER, **limits,
        }  # fmt: skip
        groups = AddressGroups(proxies=())
        self.room = WaitingRoom(groups=groups, admit=self._admit, make_room=make_room, **values)

    async def _admit(self, connection: socket.socket, head: bytes) -> None:
        self.admitted.append(head)
        self.connections.append(connection)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Callable[[], socket.socket]]:
        """Serves a listener; yields a function that connects to it."""
        clients: list[socket.socket] = []

        def connect() -> socket.socket:
            clients.append(socket.create_connection(listener.getsockname()))
            return clients[-1]

        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            try:
                async with asyncio.timeout(90), beside(self.room.serve([listener]), name="room"):
                    yield connect
            finally:
                for each in (*clients, *self.connections):
                    each.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 - nothing reports what a room holds
            await asyncio.sleep(0.002)


def never() -> bool:
    return False


async def test_a_head_in_pieces_is_handed_on_whole() -> None:
    hall = Hall(never)
    async with hall.open() as connect:
        client = connect()
        for sent in range(len(HEAD) + 2):
            client.sendall((HEAD + b"\r\n")[sent : sent + 1])
            await asyncio.sleep(0)
        await hall.until(lambda: bool(hall.admitted))
    assert hall.admitted == [HEAD + b"\r\n"]


@pytest.mark.parametrize("end", [b"\n\n", b"\n\r\n", b"\r\n\r\nbody"])
async def test_other_ends_of_a_head_are_ends(end: bytes) -> None:
    hall = Hall(never)
    async with hall.open() as connect:
        connect().sendall(b"GET / HTTP/1.1" + end)
        await hall.until(lambda: bool(hall.admitted))
    assert hall.admitted == [b"GET / HTTP/1.1" + end]


async def test_what_cannot_be_a_head_is_left_to_the_parser() -> None:
    hall = Hall(never)
    async with hall.open() as connect:
        connect().sendall(b"\x16\x03\x01")
        await hall.until(lambda: len(hall.admitted) == 1)
        connect().sendall(b"G" * 16 * 1024)
        await hall.until(lambda: len(hall.admitted) == 2)


async def test_a_client_that_leaves_frees_its_place() -> None:
    hall = Hall(never)
    async with hall.open() as connect:
        clients = [connect() for _ in range(40)]
        for client in clients[::2]:
            client.sendall(b"GET")
        await hall.until(lambda: len(hall.room) == 40)
        for client in clients:
            client.close()
        await hall.until(lambda: not len(hall.room))


async def test_the_room_logs_once_for_all_that_it_closes() -> None:
    hall = Hall(never, first_byte_timeout_s=0.2)
    with capture_logs() as lines:
        async with hall.open() as connect:
            for _ in range(40):
                connect()
            await hall.until(lambda: sum(line.get("count", 0) for line in lines) == 40)
    assert len(lines) <= 3


async def test_the_end_of_the_room_closes_all_connections() -> None:
    hall = Hall(never)
    async with hall.open() as connect:
        client = connect()
        await hall.until(lambda: len(hall.room) == 1)
        client = client.dup()
    client.settimeout(90)
    assert client.recv(1) == b""
    client.close()


async def test_a_connection_that_is_closed_makes_room_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.http.connection.waiting_room._LONGEST_PAUSE_S", 3600.0)

    def make_room() -> bool:
        if hall.connections:
            hall.connections.pop(0).close()
        return True

    hall = Hall(make_room)
    async with hall.open() as connect:
        for _ in range(50):
            connect().sendall(HEAD + b"\r\n")
        await hall.until(lambda: len(hall.admitted) == 50)
        late = [connect() for _ in range(30)]
        for client in late:
            client.sendall(HEAD + b"\r\n")
        with capture_logs(), no_descriptor_left():
            await hall.until(lambda: len(hall.admitted) == 80)


async def test_without_descriptors_the_loop_is_quiet_and_goes_on_later() -> None:
    asked_for_room = asyncio.Event()

    def make_room() -> bool:
        asked_for_room.set()
        return False

    hall = Hall(make_room)
    async with hall.open() as connect:
        clients = [connect() for _ in range(50)]
        with capture_logs() as lines, no_descriptor_left() as release:
            await asked_for_room.wait()
            release()
            await hall.until(lambda: len(hall.room) == 50)
        assert [line["event"] for line in lines] == ["no connection can be accepted"]
        assert len(clients) == 50
