"""Every method of every service with generated messages, in generated orders."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import (  # type: ignore[import-untyped]
    reflection_pb2,
    reflection_pb2_grpc,
)

from tests.fuzz.calls import Call, calls, groups_of_calls, make, methods, services
from tests.fuzz.conftest import Fuzzed
from tests.fuzz.rounds import FIXED_SEED, one_round, seeds

# The first test also waits for the mesh.
pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

Seen = Counter[tuple[str, grpc.StatusCode]]


def together(fuzzed: Fuzzed, group: list[tuple[str, Call]], seen: Seen) -> None:
    """Makes calls at the same time and counts their statuses."""

    async def made() -> None:
        async with asyncio.TaskGroup() as tasks:
            running = [
                (call.method.full_name, tasks.create_task(make(fuzzed.channels[stage], call)))
                for stage, call in group
            ]
        seen.update((name, task.result()) for name, task in running)

    fuzzed.runner.run(made())


def alone(fuzzed: Fuzzed, stage: str, seen: Seen, call: Call) -> None:
    together(fuzzed, [(stage, call)], seen)


def test_each_method_once(fuzzed: Fuzzed) -> None:
    seen: Seen = Counter()
    for stage, method in methods():
        one_round(
            partial(alone, fuzzed, stage, seen),
            calls(method),
            examples=5,
            number=FIXED_SEED,
        )
    assert {name for name, _ in seen} == {method.full_name for _, method in methods()}
    assert fuzzed.watch.faults() == []


def test_calls_at_the_same_time(fuzzed: Fuzzed) -> None:
    seen: Seen = Counter()
    one_round(
        lambda group: together(fuzzed, group, seen),
        groups_of_calls(),
        examples=12,
        number=FIXED_SEED,
    )
    assert {code for _, code in seen} >= {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}
    assert fuzzed.watch.faults() == []


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_calls_for_minutes(fuzzed: Fuzzed) -> None:
    seen: Seen = Counter()
    for number in seeds(share=0.5):
        one_round(
            lambda group: together(fuzzed, group, seen),
            groups_of_calls(),
            examples=40,
            number=number,
        )
        assert fuzzed.watch.faults() == [], f"seed {number}"
    assert {name for name, _ in seen} == {method.full_name for _, method in methods()}


def test_every_service_of_the_mesh_is_fuzzed(fuzzed: Fuzzed) -> None:
    served = fuzzed.runner.run(_served(fuzzed.channels))
    fuzzed_ones = {(stage, service.full_name) for stage, service in services()}
    assert {(stage, name) for stage, names in served.items() for name in names} == fuzzed_ones


async def _served(channels: dict[str, grpc.aio.Channel]) -> dict[str, list[str]]:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    served = {}
    for stage, channel in channels.items():
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        async for response in stub.ServerReflectionInfo(iter([request])):
            served[stage] = [each.name for each in response.list_services_response.service]
    return served
