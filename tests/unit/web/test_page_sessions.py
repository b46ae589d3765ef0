"""Codes and sessions of pages that another site opens."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from gateway.http.routes import page_sessions
from gateway.http.routes.page_sessions import PageSessions
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import Unauthenticated
from services.runtime.identity.caller import Identity, Mode, Role
from services.runtime.identity.verifier import verifier_of
from testing.fakes.mesh import FakeMesh
from tests.unit.identity.test_routes import running_site
from tests.unit.identity.tokens import key_file, token
from tests.unit.web.clients import serving_page

ADA = Identity(
    mode=Mode.IDENTITIES,
    user_id="ada",
    roles=frozenset({Role.PERSON, Role.OPERATOR}),
    expires_unix_s=10_000.0,
)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(tmp_path: Path, clock: Clock) -> PageSessions:
    settings = ServiceSettings(identity_keys_file=key_file(tmp_path))
    return PageSessions(verifier_of(settings), unix_s=clock)


async def test_a_session_is_that_of_the_person_and_of_no_other_role(
    sessions: PageSessions,
) -> None:
    opened, ends = sessions.exchange(sessions.new_code(ADA, "ada"))
    who = await sessions.of_header([f"Bearer {opened}"], peer="x")

    assert (who.user_id, who.peer, ends) == ("ada", "x", 10_000.0)
    assert who.roles == {Role.PERSON}
    assert who.is_bound
    # Tokens of other kinds are accepted as before.
    assert (await sessions.of_token(token("bob"))).user_id == "bob"


def test_a_code_is_for_one_use_within_a_minute(sessions: PageSessions, clock: Clock) -> None:
    used, late = sessions.new_code(ADA, "ada"), sessions.new_code(ADA, "ada")
    session, _ = sessions.exchange(used)
    clock.now_s = 60
    for code in (used, late, session, "", "anima-page-", "x", "\ud800"):
        with pytest.raises(Unauthenticated) as caught:
            sessions.exchange(code)
        assert caught.value.reason == "CODE_WRONG"


async def test_a_code_is_no_token_and_a_session_ends(sessions: PageSessions, clock: Clock) -> None:
    code = sessions.new_code(ADA, "ada")
    with pytest.raises(Unauthenticated):
        await sessions.of_token(code)
    session, ends = sessions.exchange(code)
    clock.now_s = ends - 1
    assert (await sessions.of_token(session)).user_id == "ada"
    clock.now_s = ends
    with pytest.raises(Unauthenticated) as caught:
        await sessions.of_token(session)
    assert caught.value.reason == "TOKEN_EXPIRED"


def test_nobody_ends_the_sessions_of_others(
    sessions: PageSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_sessions, "_MAX_OF_ONE", 2)
    adas = sessions.new_code(ADA, "ada")
    bobs = [sessions.new_code(ADA, "bob") for _ in range(50)]

    sessions.exchange(adas)
    sessions.exchange(bobs[-1])
    with pytest.raises(Unauthenticated):
        sessions.exchange(bobs[0])
    assert len(sessions._codes._held) == 1


async def test_a_site_opens_a_page_for_its_person(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        headers = {"authorization": f"Bearer {token('site', 'service')}"}
        answer = await site.http.post("/v1/page-codes", headers=headers, json={"user_id": "bob"})
        assert answer.status_code == 201
        assert answer.headers["cache-control"] == "no-store"
        code = answer.json()["code"]
        opened = await site.http.post("/v1/page-sessions", json={"code": code})
        assert opened.headers["cache-control"] == "no-store"
        session = {"authorization": f"Bearer {opened.json()['token']}"}

        await site.http.get("/v1/memory", headers=session)
        assert site.memory.users == ["bob"]
        foreign = session | {"anima-user-id": "ada"}
        assert (await site.http.get("/v1/memory", headers=foreign)).status_code == 403
        # A session is for the page; a stage does not know it, and it makes codes for itself only.
        other = await site.http.post("/v1/page-codes", headers=session, json={"user_id": "ada"})
        assert other.status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("page-sessions", b"", 400),
        ("page-sessions", b"[]", 400),
        ("page-sessions", b"{", 400),
        ("page-sessions", b"{}", 422),
        ("page-sessions", b'{"code": 5}', 422),
        ("page-sessions", b'{"code": "x"}', 401),
        ("page-sessions", b'{"code": "\\ud800"}', 422),
        ("page-sessions", b" " * 5000, 413),
        ("page-codes", b'{"user_id": ["ada"]}', 422),
        ("page-codes", b'{"user_id": "\\u0000"}', 422),
    ],
)
async def test_bodies_that_are_refused(tmp_path: Path, path: str, body: bytes, status: int) -> None:
    async with running_site(tmp_path) as site:
        headers = {"authorization": f"Bearer {token('site', 'service')}"}
        answer = await site.http.post(f"/v1/{path}", headers=headers, content=body)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_sessions, "_BODY_TIMEOUT_S", 0.05)
    async with running_site(tmp_path) as site:
        host, _, port = site.page.address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/page-sessions HTTP/1.1\r\nhost: {site.page.address}\r\n"
        writer.write(head.encode() + b"content-length: 20\r\n\r\n{")
        assert (await reader.readline()).split()[1] == b"408"
        writer.close()


async def test_a_household_opens_pages_without_its_token() -> None:
    async with (
        FakeMesh() as fake,
        fake.mesh(token="secret", stage_token="") as mesh,
        serving_page(mesh) as page,
        httpx.AsyncClient(base_url=f"http://{page.address}", trust_env=False) as http,
    ):
        assert (await http.post("/v1/page-codes")).status_code == 401
        secret = {"authorization": "Bearer secret"}
        code = (await http.post("/v1/page-codes", headers=secret)).json()["code"]
        opened = (await http.post("/v1/page-sessions", json={"code": code})).json()["token"]
        session = {"authorization": f"Bearer {opened}"}
        assert (await http.get("/v1/mesh", headers=session)).status_code == 200
