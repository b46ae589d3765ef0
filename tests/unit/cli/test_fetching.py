"""Documents of the web are downloaded from the web, not from inside the network."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from cli.knowledge.fetching import FetchError, fetch
from cli.knowledge.sources import sources

PUBLIC = "93.184.215.14"


class _Site(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, str, str]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.headers["Host"], self.path, self.headers.get("Authorization", "")))
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"The admin password is tomato.")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    _Site.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The addresses of names; a public address is connected to this machine's site."""
    known: dict[str, list[str]] = {"outside.example": [PUBLIC]}

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in known.get(host, [host])
        ]

    connect = socket.create_connection

    def create_connection(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        host = "127.0.0.1" if address[0] == PUBLIC else address[0]
        return connect((host, address[1]), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", create_connection)
    return known


def get(address: str) -> tuple[str, bytes]:
    return fetch(address, accept="*/*", max_bytes=1_000, name_of=lambda url, _: url.path)


def test_a_public_page_is_fetched_under_its_name(port: int, names: dict[str, list[str]]) -> None:
    assert get(f"http://outside.example:{port}/a.txt") == (
        "/a.txt",
        b"The admin password is tomato.",
    )
    assert _Site.seen == [(f"outside.example:{port}", "/a.txt", "")]


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1",
        "[::1]",
        "0.0.0.0",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.9.9",
        "100.100.100.200",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "224.0.0.1",
        "240.0.0.1",
        "inside.example",
        "mixed.example",
    ],
)
def test_a_public_page_does_not_lead_inside(
    port: int, names: dict[str, list[str]], target: str
) -> None:
    names["inside.example"] = ["192.168.7.7"]
    names["mixed.example"] = ["10.0.0.1", "127.0.0.1"]
    with pytest.raises(FetchError, match="is inside the local network or this machine"):
        get(f"http://outside.example:{port}/to/http://{target}:{port}/internal.txt")
    assert len(_Site.seen) == 1


def test_a_name_that_changes_its_address_does_not_lead_inside(
    port: int, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, **_: [(2, 1, 6, "", (one, port)) for one in next(answers)],
    )
    with pytest.raises(FetchError, match="is inside"):
        get(f"http://outside.example:{port}/a.txt")
    assert not _Site.seen


def test_a_local_page_may_lead_to_another_one_but_not_to_metadata(port: int) -> None:
    name, _ = get(f"http://127.0.0.1:{port}/to/http://localhost:{port}/b.txt")
    assert name == "/b.txt"
    with pytest.raises(FetchError, match="is inside"):
        get(f"http://127.0.0.1:{port}/to/http://169.254.169.254/latest/meta-data")
    with pytest.raises(FetchError, match="redirects to file"):
        get(f"http://127.0.0.1:{port}/to/file:///etc/passwd")


def test_a_password_goes_only_to_its_host_and_into_no_source(
    port: int, names: dict[str, list[str]]
) -> None:
    names["other.example"] = [PUBLIC]
    address = f"http://ada:s3cr3t@outside.example:{port}/to/http://other.example:{port}/c.txt"
    (source,) = sources([address])
    assert "s3cr3t" not in repr(source)
    assert source.uri == f"http://outside.example:{port}/to/http://other.example:{port}/c.txt"
    source.load()
    basic = "Basic " + base64.b64encode(b"ada:s3cr3t").decode()
    assert [sent for _, _, sent in _Site.seen] == [basic, ""]
    assert "s3cr3t" not in _Site.seen[0][0]
