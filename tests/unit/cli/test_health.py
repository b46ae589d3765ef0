from __future__ import annotations

import asyncio

from typer.testing import CliRunner, Result

from cli.main import app
from services.runtime.server import serving
from tests.unit.runtime.test_serving import LOOPBACK
from tests.unit.runtime.tiny_service import SERVICE, tiny_stage


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["health", *arguments])


async def test_a_service_that_warms_up_lives_and_is_not_ready() -> None:
    go = asyncio.Event()

    async def warm_up() -> None:
        await go.wait()

    async with serving(tiny_stage(warm_up=warm_up), LOOPBACK) as server:
        assert (await run("--target", server.address)).exit_code == 0
        loading = await run("--target", server.address, "--service", SERVICE)
        assert loading.exit_code == 1
        assert f"{SERVICE} is NOT_SERVING" in loading.output
        go.set()
        await server.ready
        assert (await run("--target", server.address, "--service", SERVICE)).exit_code == 0


async def test_nothing_that_answers_is_not_healthy() -> None:
    ended = await run("--target", "127.0.0.1:1", "--timeout-s", "5")
    assert ended.exit_code == 1
    assert "no answer from 127.0.0.1:1: UNAVAILABLE" in ended.output
