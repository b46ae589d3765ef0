"""Every HTTP route of the gateway, called as every role, for the caller and for somebody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import websockets
from starlette.applications import Starlette
from starlette.routing import Mount, Route, WebSocketRoute

import anima.avatar.v1 as avatar
import anima.memory.v1 as memory
from gateway.http.app import create_app
from services.runtime.identity.authorisation import ROUTES
from testing.fakes.mesh import FakeMesh
from testing.fakes.stages import FakeAvatar
from tests.unit.identity.mesh import identity_mesh, identity_settings
from tests.unit.identity.tokens import token
from tests.unit.web.clients import Page, serving_page
from tests.unit.web.test_person_routes import OpenMemory

OK, UNKNOWN, FORBIDDEN, MISSING = 0, 401, 403, 404
WHO = ("nobody", "person", "operator", "service")
OPEN: dict[str, Any] = dict.fromkeys(WHO, OK)
ALL: dict[str, Any] = {"nobody": UNKNOWN, "person": OK, "operator": OK, "service": OK}
# For a request that names nobody, the caller itself, and somebody else.
OWN: dict[str, Any] = {
    "nobody": (UNKNOWN, UNKNOWN, UNKNOWN),
    "person": (OK, OK, FORBIDDEN),
    "operator": (FORBIDDEN, FORBIDDEN, FORBIDDEN),
    "service": (422, OK, OK),
}

EXPECTED: dict[str, dict[str, Any]] = {
    "GET /": OPEN,
    "GET /static/{path:path}": OPEN,
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "POST /v1/ask": OWN | {"service": (OK, OK, OK)},
    "POST /v1/page-codes": OWN,
    "POST /v1/page-sessions": OPEN,
    "GET /v1/mesh": ALL,
    "GET /v1/openapi.json": ALL,
    "GET /v1/memory": OWN,
    "DELETE /v1/memory": OWN,
    "GET /v1/memory/export": OWN,
    "DELETE /v1/memory/{item_id}": OWN,
    # For the name of an avatar that is shared, the caller's own, and somebody else's.
    "POST /v1/avatars": ALL,
    "DELETE /v1/avatars/{name}": ALL,
    "GET /v1/avatars/{name}/idle.mp4": {
        "nobody": (UNKNOWN, UNKNOWN, UNKNOWN),
        "person": (OK, OK, MISSING),
        "operator": (OK, OK, OK),
        "service": (OK, OK, OK),
    },
    "WS /v1/realtime": OWN | {"service": (OK, OK, OK)},
}
TOKEN_ENDED = "authorization: the token has expired; get a new one"
AVATARS = {"": "ani", "ada": "adas", "bob": "bobs"}


class Noting(OpenMemory):
    """Notes for whom it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.users: list[str] = []

    async def List(self, request: Any, context: Any) -> memory.ListResponse:  # noqa: N802
        self.users.append(request.user_id)
        return await super().List(request, context)

    async def Forget(self, request: Any, context: Any) -> memory.ForgetResponse:  # noqa: N802
        self.users.append(request.user_id)
        return await super().Forget(request, context)

    async def Export(self, request: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        self.users.append(request.user_id)
        await super().Export(request, context)


class Owned(FakeAvatar):
    """Lists an avatar of everybody and one each of ada and bob; notes who creates and deletes."""

    def __init__(self) -> None:
        super().__init__()
        self.users: list[str] = []

    async def ListAvatars(self, request: Any, context: Any) -> avatar.ListAvatarsResponse:  # noqa: N802
        listed = await super().ListAvatars(request, context)
        listed.avatars[0].consent = "drawn"
        for user, name in list(AVATARS.items())[1:]:
            listed.avatars.add(
                name=name, user_id=user, consent=f"I am {user}", video=listed.avatars[0].video
            )
        return listed

    async def GetIdleLoop(self, request: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        request.avatar = "ani"
        await super().GetIdleLoop(request, context)

    async def CreateAvatar(self, requests: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        config, rest = await self.opened(requests)
        self.users.append(config.user_id)
        async for _ in rest:
            pass
        done = avatar.CreationDone(avatar=avatar.Avatar(name=config.name))
        await context.write(avatar.CreateAvatarResponse(done=done))

    async def DeleteAvatar(self, request: Any, context: Any) -> avatar.DeleteAvatarResponse:  # noqa: N802
        self.users.append(request.user_id)
        return avatar.DeleteAvatarResponse()


@dataclass
class Site:
    """A gateway that checks signed tokens, in front of scripted stages."""

    http: httpx.AsyncClient
    page: Page
    fake: FakeMesh
    memory: Noting
    avatar: Owned

    def headers(self, who: str) -> dict[str, str]:
        return {} if who == "nobody" else {"authorization": f"Bearer {token('ada', who)}"}


@asynccontextmanager
async def running_site(folder: Path) -> AsyncIterator[Site]:
    async with identity_mesh(folder) as fake:
        remembering = Noting()  # type: ignore[abstract]
        painting = Owned()
        for stage, servicer in (("memory", remembering), ("avatar", painting)):
            await fake.stop(stage)
            setattr(fake, stage, servicer)
            await fake.start(stage)
        async with (
            fake.mesh(**identity_settings(folder)) as mesh,
            serving_page(mesh) as page,
            httpx.AsyncClient(base_url=f"http://{page.address}", timeout=60) as http,
        ):
            yield Site(http, page, fake, remembering, painting)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with running_site(tmp_path_factory.mktemp("keys")) as running:
        yield running


def routes_of(app: Any) -> Iterator[str]:
    while not isinstance(app, Starlette):
        app = app._app if hasattr(app, "_app") else app.app
    for route in app.routes:
        if isinstance(route, Mount):
            yield f"GET {route.path}/{{path:path}}"
        elif isinstance(route, WebSocketRoute):
            yield f"WS {route.path}"
        else:
            assert isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}:
                yield f"{method} {route.path}"


async def test_every_route_has_a_row_and_an_expectation() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        routes = set(routes_of(create_app(mesh)))
    assert routes == ROUTES.keys()
    assert routes == EXPECTED.keys()


def request_of(route: str, user: str) -> dict[str, Any]:
    method, _, path = route.partition(" ")
    request: dict[str, Any] = {"method": method, "headers": {}}
    if user and path.startswith("/v1/memory"):
        request["headers"]["anima-user-id"] = user
    if route == "POST /v1/ask":
        request["json"] = {"text": "Hello?", "user_id": user}
        path += "?format=json"
    if route == "POST /v1/page-codes":
        request["json"] = {"user_id": user}
    if route == "POST /v1/avatars":
        request["data"] = {"name": "new", "consent": "This is me, and I agree."}
        request["files"] = {"photo": b"photo"}
    path = path.replace("{path:path}", "app.js").replace("{item_id}", "i1")
    return request | {"url": path.replace("{name}", AVATARS[user])}


async def reached(site: Site, route: str, who: str, user: str) -> int:
    """Returns the status of a refusal, or 0."""
    if route.startswith("WS "):
        return await conversed(site, who, user)
    request = request_of(route, user)
    request["headers"] |= site.headers(who)
    if route == "POST /v1/page-sessions":
        made = await site.http.post("/v1/page-codes", headers=site.headers("person"))
        request["json"] = {"code": made.json()["code"]}
    answer = await site.http.request(**request)
    if answer.status_code in (401, 403, 404, 405, 422):
        assert answer.headers["content-type"] == "application/problem+json"
        assert "secret" not in answer.text
        return answer.status_code
    assert answer.is_success, answer.text
    return OK


async def conversed(site: Site, who: str, user: str) -> int:
    given = site.headers(who).get("authorization", "").removeprefix("Bearer ")
    async with site.page.client() as client:
        await client.send({"type": "anima.authenticate", "token": given})
        first = await client.socket.recv() if who in ("person", "service") else None
        if first is None:
            code, reason = await client.closed()
            assert code == 4401
            return FORBIDDEN if "role" in reason else UNKNOWN
        await client.configure(user_id=user, language="en")
        answer = await client.next_of("session.updated", "error")
        if answer["type"] == "error":
            assert answer["error"]["code"] == "not_yours"
            return FORBIDDEN
        named = answer["session"]["anima"]["user_id"]
        assert named == ("ada" if who == "person" else user)
    return OK


@pytest.mark.parametrize("route", EXPECTED)
@pytest.mark.asyncio(loop_scope="module")
async def test_who_may_call_it(site: Site, route: str) -> None:
    for who in WHO:
        outcomes = EXPECTED[route][who]
        outcomes = outcomes if isinstance(outcomes, tuple) else (outcomes,)
        for outcome, user in zip(outcomes, ("", "ada", "bob"), strict=False):
            for seen in (site.memory.users, site.avatar.users):
                seen.clear()
            site.memory.requests.clear()
            assert await reached(site, route, who, user) == outcome, (who, user)
            users = [
                *site.memory.users,
                *site.avatar.users,
                *(each.user_id for each in site.memory.requests),
            ]
            if outcome == OK:
                # A service names the user; an operator acts for the installation.
                own = {"person": "ada", "operator": ""}.get(who, user)
                assert set(users) <= {own}
            else:
                assert not users


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/v1/nothing", "GET", 404), ("/v1/mesh", "POST", 405), ("/v1/mesh/", "GET", 404)],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_what_exists_is_said_only_after_the_token(
    site: Site, path: str, method: str, status: int
) -> None:
    assert (await site.http.request(method, path)).status_code == 401
    answer = await site.http.request(method, path, headers=site.headers("person"))
    assert answer.status_code == status


@pytest.mark.asyncio(loop_scope="module")
async def test_a_websocket_without_a_row_is_refused(site: Site) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(f"ws://{site.page.address}/v1/mesh"):
            pass
    assert refused.value.response.status_code == 404


@pytest.mark.asyncio(loop_scope="module")
async def test_a_route_without_a_row_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.http import permissions

    rows = [row for row in permissions._ROWS if not row.path.match("/v1/mesh")]
    monkeypatch.setattr(permissions, "_ROWS", rows)
    answer = await site.http.get("/v1/mesh", headers=site.headers("service"))
    assert answer.status_code == 404


async def listed(site: Site, who: str) -> dict[str, str]:
    described = (await site.http.get("/v1/mesh", headers=site.headers(who))).json()
    return {each["name"]: each["consent"] for each in described["avatars"]}


@pytest.mark.asyncio(loop_scope="module")
async def test_consent_is_for_the_owner_and_operators(site: Site) -> None:
    assert await listed(site, "person") == {"ani": "", "adas": "I am ada"}
    everything = {"ani": "drawn", "adas": "I am ada", "bobs": "I am bob"}
    assert await listed(site, "operator") == everything
    assert await listed(site, "service") == everything


@pytest.mark.asyncio(loop_scope="module")
async def test_a_conversation_cannot_have_the_avatar_of_another(site: Site) -> None:
    for who, name, status in (
        ("person", "adas", 200),
        ("person", "bobs", 404),
        ("person", "nobodys", 404),
        ("service", "bobs", 200),
    ):
        answer = await site.http.post(
            "/v1/ask?format=json",
            json={"text": "Hello?", "avatar": name},
            headers=site.headers(who),
        )
        assert answer.status_code == status, (who, name)
        assert "bobs" not in answer.text or name == "bobs"


@pytest.mark.asyncio(loop_scope="module")
async def test_the_user_of_a_page_comes_from_its_token(site: Site) -> None:
    async with site.page.client() as client:
        await client.send({"type": "anima.authenticate", "token": token("ada")})
        created = await client.until("session.created")
        assert created["session"]["anima"]["user_id"] == "ada"
        site.memory.requests.clear()
        await client.ask("Who am I?")
        await client.until("response.done")
        assert [each.user_id for each in site.memory.requests] == ["ada"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_page_cannot_have_the_avatar_of_another(site: Site) -> None:
    async with site.page.client() as client:
        await client.send({"type": "anima.authenticate", "token": token("ada")})
        await client.until("session.created")
        await client.configure(avatar="bobs")
        await client.ask("Hello?")
        error = (await client.until("error"))["error"]
        assert "'bobs' is not known; there are: ani, adas" in error["message"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_page_does_not_change_its_person(site: Site) -> None:
    header = {"authorization": f"Bearer {token('ada')}"}
    async with site.page.client(additional_headers=header) as client:
        await client.until("session.created")
        for given, refused in ((token("bob"), "not_yours"), ("x", "token_wrong")):
            await client.send({"type": "anima.authenticate", "token": given})
            assert (await client.until("error"))["error"]["code"] == refused
        await client.send({"type": "anima.authenticate", "token": token("ada", lifetime_s=99)})
        await client.configure(language="en")
        await client.until("session.updated")
        assert len(client.events("error")) == 2


@pytest.mark.asyncio(loop_scope="module")
async def test_a_page_is_closed_when_its_token_ends(site: Site) -> None:
    async with site.page.client() as client:
        # Accepted for some seconds more, as the clocks of issuer and server may differ by 30 s.
        ending = token("ada", lifetime_s=-25)
        await client.send({"type": "anima.authenticate", "token": ending})
        await client.until("session.created")
        assert await client.closed() == (4401, TOKEN_ENDED)


@pytest.mark.asyncio(loop_scope="module")
async def test_two_tokens_open_no_websocket(site: Site) -> None:
    header = f"Bearer {token('ada')}"
    values = [("authorization", header), ("authorization", header)]
    with pytest.raises(websockets.InvalidStatus):
        async with site.page.client(additional_headers=values):
            pass
