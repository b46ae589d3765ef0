"""What a page of another site, or a slash too many, can make the gateway do (A5, A6)."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

import httpx
import pytest

from anima.memory import v1 as memory
from tests.attack.attacked import Attacked, until

_LOOKS = 10
_IDLE_S = 0.2
"""What an idle service may use while it is looked at so often."""

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(300)]


async def remember(mesh: Attacked, user_id: str, count: int) -> None:
    items = [
        memory.Item(text=f"I live in Rome, {n}.", kind=memory.ITEM_KIND_TURN) for n in range(count)
    ]
    async with mesh.channel("memory") as channel:
        stub: Any = memory.MemoryServiceStub(channel)
        await stub.Remember(memory.RememberRequest(user_id=user_id, items=items))


async def count_of(mesh: Attacked, user_id: str) -> int:
    async with mesh.channel("memory") as channel:
        stub: Any = memory.MemoryServiceStub(channel)
        listed = await stub.List(memory.ListRequest(user_id=user_id))
    return int(listed.total_count)


@pytest.mark.parametrize(
    "path",
    ["/v1/memory/", "//v1/memory", "/v1//memory", "/v1/memory//", "/v1/memory/%20"],
)
async def test_a_slash_too_many_erases_nothing(open_mesh: Attacked, path: str) -> None:
    await remember(open_mesh, "slashes", 3)
    before = await count_of(open_mesh, "slashes")
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
        answer = await client.delete(
            httpx.URL(open_mesh.url("")).copy_with(raw_path=path.encode()),
            headers={"anima-user-id": "slashes"},
        )
    assert answer.status_code in (404, 405, 422)
    assert not answer.history
    assert await count_of(open_mesh, "slashes") == before >= 3


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    "path", ["/v1/avatars/anima/idle.mp4", "/v1/mesh", "/static/app.js", "/v1/memory"]
)
async def test_pages_of_other_sites_get_nothing(open_mesh: Attacked, path: str, site: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(
            open_mesh.url(path),
            headers={"sec-fetch-site": site, "sec-fetch-mode": "no-cors", "anima-user-id": "ada"},
        )
    assert answer.status_code == 403


LOOKS = [
    {"width_px": side_px, "height_px": side_px, "activity": activity}
    for side_px, activity in (
        (512, "thinking"),
        (512, "listening"),
        (512, "idle"),
        (256, "thinking"),
        (256, "listening"),
        (256, "idle"),
    )
]
"""The formats on offer, as queries."""


async def loop(mesh: Attacked, look: dict[str, object], timeout_s: float | None) -> None:
    """Requests an idle loop; drops the request after a time."""
    query = {key: str(value) for key, value in look.items()}
    with suppress(httpx.TimeoutException):
        async with httpx.AsyncClient(timeout=timeout_s, trust_env=False) as client:
            answer = await client.get(mesh.url("/v1/avatars/anima/idle.mp4"), params=query)
            assert answer.status_code == 200, answer.text


async def cost_s(mesh: Attacked, requests: list[Any]) -> float:
    """Returns the processor time that the avatar service needs until it is idle again."""
    process = mesh.process("avatar")

    def used_s() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    before_s = used_s()
    await asyncio.gather(*requests)
    looks: deque[float] = deque(maxlen=_LOOKS)

    def is_idle() -> bool:
        looks.append(used_s())
        return len(looks) == _LOOKS and looks[-1] - looks[0] <= _IDLE_S

    await until(is_idle)
    return used_s() - before_s


async def test_work_ends_with_its_last_waiter(open_mesh: Attacked) -> None:
    whole_s = await cost_s(open_mesh, [loop(open_mesh, LOOKS[0], None)])
    # The first loop of an avatar includes work that is done once, so the second one counts.
    whole_s = min(whole_s, await cost_s(open_mesh, [loop(open_mesh, LOOKS[1], None)]))
    assert whole_s > 0
    dropped = [loop(open_mesh, look, 0.3) for look in LOOKS[2:]]
    # To make them all would cost nearly twice as much as a large one.
    assert await cost_s(open_mesh, dropped) < whole_s
