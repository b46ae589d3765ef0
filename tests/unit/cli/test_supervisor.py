"""The supervisor of a mesh: the order in which it stops, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from cli.mesh.layout import Layout, Member, drain_timeout_s, free_addresses
from cli.mesh.supervisor import State, Status, Supervisor
from services.runtime.calls.channels import open_channel
from tests.unit.runtime.tiny_service import SERVICE, open_tiny_stream, tiny_stub

pytestmark = pytest.mark.process

TINY = "tests.unit.runtime.tiny_main"
LEADER = "tests.unit.cli.tiny_leader"


def layout_of(**modules: str) -> Layout:
    """A mesh of tiny services; the last one is its gateway."""
    addresses = free_addresses(len(modules) + 1)
    members = [
        Member(
            name=name,
            module=module,
            service=SERVICE,
            address=address,
            environment={"ANIMA_TINY_LISTEN": address},
        )
        for (name, module), address in zip(modules.items(), addresses, strict=False)
    ]
    return Layout(members=tuple(members), http_address=addresses[-1])


@asynccontextmanager
async def running(layout: Layout, folder: Path, **environment: str) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(layout, log_folder=folder, environment=environment)
    async with supervisor.running():
        await supervisor.until_settled()
        assert supervisor.is_ready(), [each.problem for each in supervisor.statuses.values()]
        yield supervisor


def events(folder: Path, name: str) -> list[dict[str, Any]]:
    lines = (folder / f"{name}.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def event(folder: Path, name: str, wanted: str) -> dict[str, Any]:
    return next(each for each in events(folder, name) if each["event"] == wanted)


async def until_draining(member: Member) -> None:
    """Follows the health of a member until it takes no more calls."""
    async with open_channel(member.address) as channel:
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        async for answer in health_pb2_grpc.HealthStub(channel).Watch(request):
            if answer.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                return


@asynccontextmanager
async def ending(process_id: int) -> AsyncIterator[None]:
    """Waits at the end of the block until a process, which need not be a child, has ended."""
    ended = asyncio.Event()
    descriptor = os.pidfd_open(process_id)
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        yield
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def test_the_gateway_drains_before_the_stages_are_stopped(tmp_path: Path) -> None:
    layout = layout_of(stage=TINY, gateway=TINY)
    async with tiny_stub(layout.gateway.address) as stub:
        async with running(layout, tmp_path) as supervisor:
            call = await open_tiny_stream(stub)

            async def finish() -> None:
                await until_draining(layout.gateway)
                await call.done_writing()

            finishing = asyncio.create_task(finish())
        await finishing
    drained = event(tmp_path, "gateway", "stopped")["timestamp"]
    assert event(tmp_path, "stage", "draining")["timestamp"] > drained
    assert {each.state for each in supervisor.statuses.values()} == {State.STOPPED}


async def test_a_member_that_does_not_stop_is_killed_with_its_helpers(tmp_path: Path) -> None:
    supervisor = Supervisor(
        layout_of(gateway=LEADER),
        log_folder=tmp_path,
        environment={"ANIMA_DRAIN_TIMEOUT_S": "0"},
        stop_grace_s=0.1,
    )
    async with contextlib.AsyncExitStack() as stack, supervisor.running():
        await supervisor.until_settled()
        leader = supervisor.statuses["gateway"].process_id
        assert leader is not None
        await stack.enter_async_context(ending(leader))
        helper = event(tmp_path, "gateway", "helper")["process_id"]
        await stack.enter_async_context(ending(helper))
        os.kill(leader, signal.SIGSTOP)


async def test_helpers_of_a_member_that_stops_are_killed(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack, running(layout_of(gateway=LEADER), tmp_path):
        helper = event(tmp_path, "gateway", "helper")["process_id"]
        await stack.enter_async_context(ending(helper))


async def test_helpers_of_a_member_that_dies_are_killed_before_it_starts_again(
    tmp_path: Path,
) -> None:
    async with running(layout_of(gateway=LEADER), tmp_path) as supervisor:
        dead = supervisor.statuses["gateway"].process_id
        assert dead is not None
        async with ending(event(tmp_path, "gateway", "helper")["process_id"]):
            os.kill(dead, signal.SIGKILL)
            await supervisor.until_noticed([dead])


async def test_whoever_leaves_while_members_start_leaves_no_process(tmp_path: Path) -> None:
    started: dict[str, int] = {}
    leave = asyncio.Event()

    def seen(status: Status) -> None:
        if status.process_id is not None:
            started[status.member.name] = status.process_id
            leave.set()

    names = {f"member-{number}": TINY for number in range(6)}
    supervisor = Supervisor(layout_of(**names), log_folder=tmp_path, on_change=seen)
    async with supervisor.running():
        await leave.wait()
    assert started
    assert {each.state for each in supervisor.statuses.values()} == {State.STOPPED}
    for process_id in started.values():
        with pytest.raises(ProcessLookupError):
            os.kill(process_id, 0)


async def test_no_library_is_loaded_in_a_forked_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("loaded in the child")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    async with running(layout_of(gateway=TINY), tmp_path):
        pass


async def test_a_second_stop_does_not_wait_for_the_drain(tmp_path: Path) -> None:
    layout = layout_of(gateway=TINY)
    async with tiny_stub(layout.gateway.address) as stub:
        async with running(layout, tmp_path) as supervisor:
            await open_tiny_stream(stub)

            async def hurry() -> None:
                await until_draining(layout.gateway)
                supervisor.stop_at_once()

            hurrying = asyncio.create_task(hurry())
        await hurrying
    assert not any(each["event"] == "stopped" for each in events(tmp_path, "gateway"))


async def test_a_member_that_cannot_start_says_why_in_words(tmp_path: Path) -> None:
    supervisor = Supervisor(
        layout_of(gateway=TINY), log_folder=tmp_path, environment={"ANIMA_TINY_FAIL": "1"}
    )
    async with supervisor.running():
        await supervisor.until_failed()
        problem = supervisor.statuses["gateway"].problem
    assert problem == "model x is missing; run: anima models pull x"


async def test_a_supervisor_that_cannot_start_a_process_says_so(tmp_path: Path) -> None:
    layout = layout_of(gateway=TINY)
    supervisor = Supervisor(layout, log_folder=tmp_path)
    async with supervisor.running():
        (tmp_path / "gateway.log").mkdir(exist_ok=True)
        await supervisor.until_failed()
        problem = supervisor.statuses["gateway"].problem
    assert problem.startswith("IsADirectoryError: ")


@pytest.mark.parametrize(
    ("environment", "expected_s"),
    [
        ({}, 20),
        ({"ANIMA_DRAIN_TIMEOUT_S": "7"}, 7),
        ({"ANIMA_DRAIN_TIMEOUT_S": "7", "ANIMA_TTS_DRAIN_TIMEOUT_S": "3"}, 3),
        ({"ANIMA_DRAIN_TIMEOUT_S": "soon"}, 20),
    ],
)
def test_a_member_is_waited_for_as_long_as_it_may_drain(
    environment: dict[str, str], expected_s: float
) -> None:
    (member,) = layout_of(tts=TINY).members
    assert drain_timeout_s(member, environment) == expected_s
