"""The guard of the HTTP edge: the same rules for HTTP requests and WebSocket handshakes."""

from __future__ import annotations

import json

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.http.guard import HttpGuard
from gateway.settings import GatewaySettings
from services.runtime.identity.verifier import verifier_of

KINDS = ("http", "websocket")
PASSED = "passed"


async def answer(
    kind: str,
    headers: dict[str, str] | list[tuple[str, str]],
    *,
    path: str = "",
    scheme: str = "http",
    **settings: object,
) -> tuple[int | str, str]:
    """Returns the status and the detail of a refusal, or PASSED."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sent.append({"type": PASSED})

    async def receive() -> Message:
        raise AssertionError("the guard reads no body")

    async def send(message: Message) -> None:
        sent.append(message)

    values = {"http_listen": "127.0.0.1:8080", **settings}
    gateway_settings = GatewaySettings.model_validate(values)
    guard = HttpGuard(app, settings=gateway_settings, verifier=verifier_of(gateway_settings))
    pairs = headers.items() if isinstance(headers, dict) else headers
    raw = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    if kind == "websocket":
        scheme = {"http": "ws", "https": "wss"}[scheme]
    path = path or {"http": "/v1/mesh", "websocket": "/v1/realtime"}[kind]
    scope = {"type": kind, "method": "GET", "path": path, "scheme": scheme, "headers": raw}
    await guard(scope, receive, send)
    if sent[0]["type"] == PASSED:
        assert len(sent) == 1
        return PASSED, ""
    prefix = "websocket." if kind == "websocket" else ""
    assert sent[0]["type"] == f"{prefix}http.response.start"
    return sent[0]["status"], str(json.loads(sent[1]["body"])["detail"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "[0:0::1]", "[::1]"]
)
async def test_pages_of_this_machine_pass(kind: str, host: str) -> None:
    assert await answer(kind, {"host": host, "origin": f"http://{host}"}) == (PASSED, "")


@pytest.mark.parametrize("kind", KINDS)
async def test_programs_without_origin_pass(kind: str) -> None:
    assert await answer(kind, {"host": "127.0.0.1:8080"}) == (PASSED, "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:80", "http://localhost"),
        ("localhost", "http://localhost:80"),
        ("localhost", "https://localhost:443"),
        ("localhost", "https://localhost"),
        ("[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080"),
    ],
)
async def test_the_same_site_in_other_letters_passes(kind: str, host: str, origin: str) -> None:
    scheme = origin.partition(":")[0]
    assert await answer(kind, {"host": host, "origin": origin}, scheme=scheme) == (PASSED, "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("own", ["http", "https"])
async def test_the_same_host_by_another_scheme_is_another_site(kind: str, own: str) -> None:
    other = {"http": "https", "https": "http"}[own]
    headers = {"host": "localhost", "origin": f"{other}://localhost"}

    status, detail = await answer(kind, headers, scheme=own)

    assert status == 403
    assert "ANIMA_GATEWAY_HTTP_PROXIES" in detail


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "something-new"])
@pytest.mark.parametrize("path", ["/v1/realtime", "/v1/avatars/a/idle.mp4", "/static/app.js"])
async def test_what_another_site_embeds_is_refused(kind: str, site: str, path: str) -> None:
    headers = {"host": "localhost", "sec-fetch-site": site}

    status, detail = await answer(kind, headers, path=path)

    assert status == 403
    assert detail.startswith("sec-fetch-site:")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_what_the_page_itself_asks_for_passes(kind: str, site: str) -> None:
    assert await answer(kind, {"host": "localhost", "sec-fetch-site": site}) == (PASSED, "")


async def test_a_link_on_another_site_opens_the_page() -> None:
    headers = {"host": "localhost", "sec-fetch-site": "cross-site"}

    assert await answer("http", headers, path="/") == (PASSED, "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["host", "origin", "sec-fetch-site", "authorization"])
async def test_a_header_that_decides_is_given_once(kind: str, name: str) -> None:
    headers = [("host", "localhost"), (name, "localhost"), (name, "evil.example")]

    assert (await answer(kind, headers))[0] == 400


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:9999",
        "http://127.0.0.1",
        "http://localhost:8080.evil.example",
        "http://evil.example/127.0.0.1:8080",
        "http://127.0.0.1:8080@evil.example",
        "http://[",
        "http://[::1",
        "http://[nonsense]:8080",
        "http://",
        "null",
        "",
        "file://",
        "file://127.0.0.1:8080",
        "127.0.0.1:8080",
        "http://127.0.0.1:8080\xe9",
    ],
)
async def test_pages_of_other_sites_are_refused(kind: str, origin: str) -> None:
    status, detail = await answer(kind, {"host": "127.0.0.1:8080", "origin": origin})

    assert status == 403
    assert detail.startswith("origin:")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost/evil.example",
        "evil@localhost",
        "evil.com@localhost",
        "localhost:80:80",
        "[::1",
        "::1",
        "[::2]",
        "[]",
        "",
    ],
)
async def test_names_that_are_not_of_this_gateway_are_refused(kind: str, host: str) -> None:
    status, detail = await answer(kind, {"host": host, "origin": f"http://{host}"})

    assert status == 400
    assert "ANIMA_GATEWAY_HTTP_HOSTS" in detail


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("talk.example", "talk.example"),
        ("Anima.Example", "anima.example"),
        ("anima.example", "ANIMA.Example:8443"),
        ("anima.example:8443", "anima.example:8443"),
        ("fd00::1", "[fd00::1]:8080"),
        ("[FD00::1]", "[fd00:0::1]"),
    ],
)
async def test_names_that_are_set_pass_in_any_case(kind: str, name: str, host: str) -> None:
    headers = {"host": host, "origin": f"https://{host}"}

    assert await answer(kind, headers, http_hosts=(name,), scheme="https") == (PASSED, "")


@pytest.mark.parametrize("kind", KINDS)
async def test_with_a_token_any_host_passes_but_no_other_site(kind: str) -> None:
    token = {"authorization": "Bearer secret"}
    host = {"host": "proxy.example", **token}
    other = {**host, "origin": "https://evil.example"}

    assert await answer(kind, host, token="secret") == (PASSED, "")
    assert (await answer(kind, other, token="secret"))[0] == 403


async def test_only_http_requests_need_the_token_in_a_header() -> None:
    host = {"host": "127.0.0.1:8080"}

    assert (await answer("http", host, token="secret"))[0] == 401
    assert await answer("http", host, token="secret", path="/") == (PASSED, "")
    assert await answer("websocket", host, token="secret") == (PASSED, "")
