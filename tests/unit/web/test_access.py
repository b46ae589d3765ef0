"""Who may open a WebSocket."""

import pytest

from gateway.http.websocket_guard import Access
from gateway.settings import GatewaySettings


def access(**settings: object) -> Access:
    values: dict[str, object] = {"http_listen": "127.0.0.1:8080", **settings}
    return Access(GatewaySettings.model_validate(values))


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080"])
def test_page_of_this_machine_may_connect(host: str) -> None:
    assert access().problem({"host": host, "origin": f"http://{host}"}) is None


def test_program_without_origin_may_connect() -> None:
    assert access().problem({"host": "127.0.0.1:8080"}) is None


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:9999",
        "http://localhost:8080.evil.example",
        "http://evil.example/127.0.0.1:8080",
        "null",
        "",
        "file://",
    ],
)
def test_page_of_another_origin_is_refused(origin: str) -> None:
    problem = access().problem({"host": "127.0.0.1:8080", "origin": origin})

    assert problem is not None
    assert problem.startswith("origin:")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""]
)
def test_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    problem = access().problem({"host": host, "origin": f"http://{host}"})

    assert problem is not None
    assert problem.startswith("host:")


def test_names_of_a_proxy_can_be_set() -> None:
    headers = {"host": "talk.example", "origin": "https://talk.example"}

    assert access(http_hosts=("talk.example",)).problem(headers) is None


def test_token_is_compared_whole() -> None:
    rules = access(token="secret")

    assert rules.needs_token
    assert rules.token_is_right("secret")
    assert not any(map(rules.token_is_right, ["", "secre", "secret2", None, 5, "ß\ud800"]))


def test_programs_name_the_token_in_a_header() -> None:
    rules = access(token="secret")

    assert rules.authorized_by_header({"authorization": "Bearer secret"})
    assert not rules.authorized_by_header({"authorization": "Basic secret"})
    assert not rules.authorized_by_header({})
    assert access().authorized_by_header({})
