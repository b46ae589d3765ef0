"""A failed call is explained in the terms of the command line."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from anima.gateway.v1.gateway_pb2_grpc import (
    GatewayServiceServicer,
    add_GatewayServiceServicer_to_server,
)
from anima.memory.v1.memory_pb2_grpc import (
    MemoryServiceServicer,
    add_MemoryServiceServicer_to_server,
)
from cli.main import app
from cli.mesh.layout import free_addresses
from cli.refusals import in_words
from services.runtime.server import serving
from tests.unit.runtime.tiny_service import TinySettings, tiny_server, tiny_stage

ASK = ("ask", "Who are you?", "--gateway")
LIST = ("memory", "list", "ada", "--memory")


async def anima(*arguments: str, folder: Path, **environment: str) -> Result:
    runner = CliRunner(env={"COLUMNS": "300", "ANIMA_DATA_DIR": str(folder), **environment})
    return await asyncio.to_thread(lambda: runner.invoke(app, list(arguments)))


@pytest.mark.parametrize(("command", "service"), [(ASK, "gateway"), (LIST, "memory")])
async def test_nothing_listens(tmp_path: Path, command: tuple[str, ...], service: str) -> None:
    (target,) = free_addresses(1)
    result = await anima(*command, target, folder=tmp_path)
    assert result.exit_code == 1
    assert f"Error: no {service} answers at {target}.\n" in result.stderr
    assert "anima up" in result.stderr


@pytest.mark.parametrize(("command", "service"), [(ASK, "gateway"), (LIST, "memory")])
async def test_another_service_listens(
    tmp_path: Path, command: tuple[str, ...], service: str
) -> None:
    async with tiny_server() as server:
        result = await anima(*command, server.address, folder=tmp_path)
    assert f"Error: the server at {server.address} is not the {service} service.\n" in result.stderr


@pytest.mark.parametrize(
    ("command", "service", "servicer", "add_to_server"),
    [
        (ASK, "gateway", GatewayServiceServicer, add_GatewayServiceServicer_to_server),
        (LIST, "memory", MemoryServiceServicer, add_MemoryServiceServicer_to_server),
    ],
)
async def test_a_token_is_missing(
    tmp_path: Path, command: tuple[str, ...], service: str, servicer: Any, add_to_server: Any
) -> None:
    stage = replace(tiny_stage(), add_to_server=partial(add_to_server, servicer()))
    settings = TinySettings(listen="127.0.0.1:0", token="swordfish")
    async with serving(stage, settings) as server:
        await server.ready
        result = await anima(*command, server.address, folder=tmp_path, ANIMA_TOKEN="guess")
    assert f"Error: the {service} at {server.address} requires a token.\n" in result.stderr
    assert "ANIMA_TOKEN" in result.stderr
    assert "guess" not in result.stderr


def test_a_field_becomes_an_option() -> None:
    assert in_words("config.user_id: too long") == "--user: too long"
    assert in_words("text.text: is empty") == "the question: is empty"
    assert in_words("no colon") == "no colon"
    assert in_words("config.other: wrong") == "config.other: wrong"
