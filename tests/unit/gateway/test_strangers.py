"""Requests before the token: a page and a probe have theirs at once, a flood shares a pace."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from starlette.types import Scope

from gateway.http import strangers
from gateway.http.connection.connections import ConnectionTable, authenticated, state_of
from gateway.http.connection.places import AddressGroups
from gateway.http.strangers import Strangers
from testing.fakes.mesh import FakeMesh
from tests.unit.web.clients import serving_page

TOKEN = "0123456789abcdef" * 2


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def scopes() -> Iterator[Scope]:
    """New connections."""
    groups = AddressGroups(())
    table = ConnectionTable(most=1_000, unauthenticated=1_000, per_address=1_000, groups=groups)

    def connections() -> Iterator[Scope]:
        while (opened := table.opened("10.0.0.1", lambda: None)) is not None:
            kept.append(opened)
            yield {"type": "http", "state": state_of(opened)}

    kept: list[object] = []
    return connections()


def test_a_page_and_probes_do_not_wait_while_others_flood(scopes: Iterator[Scope]) -> None:
    clock = Clock()
    paced = Strangers(clock)
    greedy = [next(scopes) for _ in range(50)]
    for _ in range(100):
        for scope in greedy:
            paced.wait_s(scope)
    assert all(paced.wait_s(scope) for scope in greedy)
    page = next(scopes)
    assert not any(paced.wait_s(page) for _ in range(strangers.FREE_REQUESTS))
    for _ in range(20):
        assert paced.wait_s(next(scopes)) == 0
        clock.now_s += 5


def test_all_that_flood_share_one_pace(scopes: Iterator[Scope]) -> None:
    clock = Clock()
    paced = Strangers(clock)
    due = [(0.0, number, next(scopes)) for number in range(30)]
    served = 0
    while (at_s := due[0][0]) < 60:
        clock.now_s, (_, number, scope) = at_s, due.pop(0)
        served += 1
        due.append((at_s + paced.wait_s(scope) + 0.001, number, scope))
        due.sort(key=lambda each: each[:2])
    free = 30 * (strangers.FREE_REQUESTS + 60 * strangers.FREE_PER_S)
    assert served < free + 61 * strangers.GREEDY_PER_S + strangers.GREEDY_PER_S


def test_who_is_known_is_not_slowed_down(scopes: Iterator[Scope]) -> None:
    paced, scope = Strangers(Clock()), next(scopes)
    authenticated(scope)
    assert not any(paced.wait_s(scope) for _ in range(10_000))


async def test_a_flood_is_answered() -> None:
    async with (
        FakeMesh() as fake,
        fake.mesh(token=TOKEN) as mesh,
        serving_page(mesh) as page,
        httpx.AsyncClient(base_url=f"http://{page.address}", trust_env=False, timeout=60) as client,
    ):
        for _ in range(200):
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/v1/mesh")).status_code == 401
