"""The HTTP calls of a person for their memory and their portrait."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

import anima.avatar.v1 as avatar
import anima.memory.v1 as memory
from gateway.http.app import create_app
from gateway.http.routes.avatars import MAX_PHOTO_BYTES
from services.runtime.errors import FailedPrecondition, InvalidRequest, Unavailable
from testing.fakes.mesh import FakeMesh
from testing.fakes.stages import FakeAvatar, FakeMemory

ME = {"anima-user-id": "web-1"}


class OpenMemory(FakeMemory):
    """Holds three items of one person."""

    def __init__(self) -> None:
        super().__init__()
        self.items = [
            memory.Item(
                item_id=f"i{n}",
                kind=memory.ITEM_KIND_TURN,
                speaker=memory.SPEAKER_USER,
                text=f"number {n} 你好",
                created_unix_ms=1_700_000_000_000 + n,
            )
            for n in range(3)
        ]

    async def List(self, request: Any, context: Any) -> memory.ListResponse:  # noqa: N802
        mine = self.items if request.user_id == "web-1" else []
        return memory.ListResponse(items=reversed(mine), total_count=len(mine))

    async def Forget(self, request: Any, context: Any) -> memory.ForgetResponse:  # noqa: N802
        wanted = set(request.items.item_ids)
        kept = [] if request.everything else [i for i in self.items if i.item_id not in wanted]
        count = len(self.items) - len(kept)
        self.items = kept
        return memory.ForgetResponse(forgotten_count=count)

    async def Export(self, request: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        for item in self.items:
            await context.write(memory.ExportResponse(item=item))


class Painter(FakeAvatar):
    """Makes an avatar from anything except an empty room."""

    def __init__(self) -> None:
        super().__init__()
        self.photo = b""
        self.made: avatar.CreateAvatarConfig | None = None
        self.avatars: dict[str, avatar.Avatar] = {}

    async def CreateAvatar(self, requests: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        config, rest = await self.opened(requests)
        photo = b""
        async for request in rest:
            if request.WhichOneof("message") == "end_of_photo":
                break
            photo += request.photo
        if photo == b"room":
            raise InvalidRequest("photo: there is no face in it; choose one with a face")
        self.photo, self.made = photo, config
        step = avatar.CreationProgress(step="Finding the face", percent=30)
        await context.write(avatar.CreateAvatarResponse(progress=step))
        if photo == b"unfinished":
            return
        if photo == b"late":
            raise FailedPrecondition("photo: the disk is full")
        warning = avatar.CreationWarning(reason="BLURRED", message="The photo is blurred.")
        await context.write(avatar.CreateAvatarResponse(warning=warning))
        made = avatar.Avatar(name=config.name, display_name=config.display_name)
        self.avatars[made.name] = made
        done = avatar.CreationDone(avatar=made, preview_jpeg=b"\xff\xd8")
        await context.write(avatar.CreateAvatarResponse(done=done))

    async def DeleteAvatar(self, request: Any, context: Any) -> avatar.DeleteAvatarResponse:  # noqa: N802
        if request.name != "me":
            raise FailedPrecondition("avatar: it belongs to the installation")
        self.avatars.pop(request.name, None)
        return avatar.DeleteAvatarResponse()

    async def ListAvatars(self, request: Any, context: Any) -> avatar.ListAvatarsResponse:  # noqa: N802
        return avatar.ListAvatarsResponse(avatars=self.avatars.values())


@pytest.fixture
async def remembering() -> OpenMemory:
    return OpenMemory()  # type: ignore[abstract]


@pytest.fixture
async def painter() -> Painter:
    return Painter()


@pytest.fixture
async def client(remembering: OpenMemory, painter: Painter) -> AsyncIterator[httpx.AsyncClient]:
    async with FakeMesh() as fake:
        for stage, servicer in (("memory", remembering), ("avatar", painter)):
            await fake.stop(stage)
            setattr(fake, stage, servicer)
            await fake.start(stage)
        async with fake.mesh() as mesh:
            transport = httpx.ASGITransport(create_app(mesh))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                yield http


async def test_memory_is_listed_newest_first(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/memory", headers=ME)
    listed = response.json()

    assert [item["text"] for item in listed["items"]] == [f"number {n} 你好" for n in (2, 1, 0)]
    assert listed["items"][0]["kind"] == "turn"
    assert listed["items"][0]["speaker"] == "user"
    assert listed["items"][0]["created_unix_ms"] == 1_700_000_000_002
    assert listed["total_count"] == 3
    assert response.headers["cache-control"] == "no-store"


async def test_nobody_sees_the_memory_of_another(client: httpx.AsyncClient) -> None:
    other = await client.get("/v1/memory", headers={"anima-user-id": "web-2"})
    nobody = await client.get("/v1/memory")

    assert other.json()["items"] == []
    assert nobody.status_code == 422
    assert "anima-user-id" in nobody.json()["detail"]


async def test_one_item_and_then_everything_is_erased(
    client: httpx.AsyncClient, remembering: OpenMemory
) -> None:
    one = await client.delete("/v1/memory/i1", headers=ME)
    left = [item.item_id for item in remembering.items]
    rest = await client.delete("/v1/memory", headers=ME)

    assert one.json() == {"forgotten_count": 1}
    assert left == ["i0", "i2"]
    assert rest.json() == {"forgotten_count": 2}
    assert remembering.items == []


async def test_wrong_item_name_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.delete("/v1/memory/a%20b", headers=ME)
    assert response.status_code == 422


async def test_export_has_a_line_for_each_item(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/memory/export", headers=ME)
    lines = [json.loads(line) for line in response.text.splitlines()]

    assert [line["item_id"] for line in lines] == ["i0", "i1", "i2"]
    assert "attachment" in response.headers["content-disposition"]


async def test_memory_wants_the_token() -> None:
    async with FakeMesh() as fake, fake.mesh(token="secret") as mesh:
        transport = httpx.ASGITransport(create_app(mesh))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.get("/v1/memory", headers=ME)).status_code == 401
            assert (await http.post("/v1/avatars", data={"name": "me"})).status_code == 401


def portrait(photo: bytes, **fields: str) -> dict[str, Any]:
    texts = {"name": "me", "display_name": "Me", "consent": "I am in this photo."} | fields
    return {"data": texts, "files": {"photo": ("me.jpg", photo, "image/jpeg")}}


async def test_portrait_becomes_an_avatar(client: httpx.AsyncClient, painter: Painter) -> None:
    photo = bytes(range(256)) * 5_000  # more than one piece
    response = await client.post("/v1/avatars", **portrait(photo))
    told = [json.loads(line) for line in response.text.splitlines()]

    assert response.status_code == 200
    assert told[0] == {"progress": {"step": "Finding the face", "percent": 30}}
    assert told[1]["warning"]["reason"] == "BLURRED"
    assert told[2]["done"]["avatar"]["name"] == "me"
    assert told[2]["done"]["preview"] == "data:image/jpeg;base64,/9g="
    assert painter.photo == photo
    assert painter.made is not None
    assert painter.made.consent == "I am in this photo."


async def avatars(client: httpx.AsyncClient) -> list[str]:
    return [each["name"] for each in (await client.get("/v1/mesh")).json()["avatars"]]


async def test_a_new_avatar_can_be_chosen_at_once_and_a_deleted_one_no_more(
    client: httpx.AsyncClient,
) -> None:
    assert await avatars(client) == []
    await client.post("/v1/avatars", **portrait(b"face"))
    assert await avatars(client) == ["me"]
    await client.delete("/v1/avatars/me")
    assert await avatars(client) == []


async def test_photo_of_which_nothing_can_be_made_is_explained(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/avatars", **portrait(b"room"))

    assert response.status_code == 422
    assert "choose one with a face" in response.json()["detail"]


async def test_fault_after_the_first_step_ends_the_stream(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/avatars", **portrait(b"late"))
    last = json.loads(response.text.splitlines()[-1])

    assert "the disk is full" in last["error"]["message"]


async def test_creation_that_ends_without_an_avatar_is_an_error(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/avatars", **portrait(b"unfinished"))
    last = json.loads(response.text.splitlines()[-1])

    assert "ended in the middle" in last["error"]["message"]


async def test_form_without_a_photo_and_a_photo_too_large(client: httpx.AsyncClient) -> None:
    missing = await client.post("/v1/avatars", data={"name": "me"})
    header = {"content-length": str(MAX_PHOTO_BYTES * 2), "content-type": "multipart/form-data"}
    large = await client.post("/v1/avatars", content=b"x", headers=header)

    assert missing.status_code in (400, 422)
    assert large.status_code == 413


async def test_own_avatar_is_deleted_and_the_installations_is_not(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.delete("/v1/avatars/me")).status_code == 204
    refused = await client.delete("/v1/avatars/ani")
    assert refused.status_code == 422
    assert "belongs to the installation" in refused.json()["detail"]


async def test_what_waits_for_the_memory_is_erased_too(remembering: OpenMemory) -> None:
    def waiting(text: str) -> memory.RememberRequest:
        items = [memory.Item(item_id=text, text=text)]
        return memory.RememberRequest(user_id="web-1", items=items)

    async with FakeMesh() as fake:
        await fake.stop("memory")
        fake.memory = remembering
        await fake.start("memory")
        remembering.refuse_remember = Unavailable("the memory cannot store now")
        async with fake.mesh() as mesh:
            transport = httpx.ASGITransport(create_app(mesh))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                for text in ("one", "two", "three"):
                    mesh.remember_queue.add(waiting(text))
                await http.delete("/v1/memory/two", headers=ME)
                remembering.refuse_remember = None
                stored = [await remembering.remembered.get() for _ in range(2)]
                remembering.refuse_remember = Unavailable("the memory cannot store now")
                mesh.remember_queue.add(waiting("four"))
                await http.delete("/v1/memory", headers=ME)
                remembering.refuse_remember = None
                mesh.remember_queue.add(waiting("five"))
                stored.append(await remembering.remembered.get())

    assert [request.items[0].text for request in stored] == ["one", "three", "five"]
