"""A channel to the stage under test: an external server by address, or ours on loopback.

`pytest tests/contract/test_asr.py --asr-address HOST:PORT [--token T]` tests the server at the
address. Without the option ours is started in this process. (The options stand in
tests/conftest.py: pytest asks only the conftest files above its arguments for options.)
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from services.runtime.calls.channels import open_channel
from services.runtime.config.settings import ServiceSettings
from services.runtime.server import serving
from tests.requirements import need

_FOLDER = Path(__file__).parent

STARTED_HERE = {
    "asr": "services.asr",
    "llm": "services.llm",
    "memory": "memory",
    "tts": "services.tts",
    "avatar": "services.avatar",
}


@asynccontextmanager
async def stage_channel(
    request: pytest.FixtureRequest, stage: str, data_dir: Path
) -> AsyncIterator[grpc.aio.Channel]:
    """Opens a channel to the stage that the options name, or to one started for the body."""
    address = request.config.getoption(f"--{stage}-address")
    if address:
        async with open_channel(address, token=request.config.getoption("--token")) as channel:
            yield channel
        return
    async with own_channel(stage, **_private_data(stage, data_dir)) as channel:
        yield channel


@asynccontextmanager
async def own_channel(stage: str, **changes: Any) -> AsyncIterator[grpc.aio.Channel]:
    """Starts a stage for the body and opens a channel to it.

    Only its own packages are imported: the environment of one engine lacks those of others.

    Args:
        stage: Its name.
        changes: Settings that differ from the environment.
    """
    package = STARTED_HERE[stage]
    settings_class = getattr(
        importlib.import_module(f"{package}.settings"), f"{stage.capitalize()}Settings"
    )
    build = importlib.import_module(f"{package}.servicer").build
    settings: ServiceSettings = settings_class.from_environment(listen="127.0.0.1:0", **changes)
    async with serving(build(settings), settings) as server:
        await server.ready
        async with open_channel(server.address, token=settings.token) as channel:
            yield channel


def _private_data(stage: str, data_dir: Path) -> dict[str, Path]:
    """Returns where the stage keeps its data: a test must not write to the user's.

    The model store is shared, since pulling a model takes minutes: it is linked into the test's
    folder. Only speech has none there: which voice speaks would depend on how busy the machine is.
    """
    if stage == "tts":
        return {"data_dir": data_dir}
    if stage not in ("memory", "avatar"):
        return {}
    models = ServiceSettings.from_environment().data_dir / "models"
    if models.is_dir():
        (data_dir / "models").symlink_to(models, target_is_directory=True)
    return {"data_dir": data_dir}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Makes the tests of a file run in one loop, that of the server and the channel."""
    for item in items:
        if pytest_asyncio.is_async_test(item) and item.path.parent == _FOLDER:
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asr_channel(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the speech recogniser."""
    async with stage_channel(request, "asr", tmp_path_factory.mktemp("asr")) as channel:
        yield channel


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm_channel(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the language model."""
    async with stage_channel(request, "llm", tmp_path_factory.mktemp("llm")) as channel:
        yield channel


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgres"])
async def memory_channel(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the memory; once with each engine of ours. Each test has users of its own."""
    with pytest.MonkeyPatch.context() as environment:
        if request.param == "postgres":
            if request.config.getoption("--memory-address"):
                pytest.skip("the memory at the address has one engine")
            new_database: Callable[[], str] = request.getfixturevalue("new_postgres_database")
            environment.setenv("ANIMA_MEMORY_ENGINE", "postgres")
            environment.setenv("ANIMA_MEMORY_POSTGRES", new_database())
        folder = tmp_path_factory.mktemp("memory")
        async with stage_channel(request, "memory", folder) as channel:
            yield channel


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tts_channel(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the speech synthesiser."""
    async with stage_channel(request, "tts", tmp_path_factory.mktemp("tts")) as channel:
        yield channel


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def avatar_channel(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the avatar."""
    async with stage_channel(request, "avatar", tmp_path_factory.mktemp("avatar")) as channel:
        yield channel


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kokoro_channel() -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a synthesiser of ours that speaks with the pulled voices."""
    need("kokoro")
    async with own_channel("tts", engine="kokoro,espeak") as channel:
        yield channel
