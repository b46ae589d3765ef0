"""A memory service in a thread of its own: LangChain's tests block the one they run in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from memory.servicer import build
from memory.settings import MemorySettings
from services.runtime.config.settings import ServiceSettings
from services.runtime.server import serving
from tests.requirements import need

EMBEDDINGS = f"{__package__}.embeddings"


def pytest_configure(config: pytest.Config) -> None:
    """Makes known what LangChain's tests are marked with: the plugins of it are off."""
    for marker in ("benchmark", "vcr"):
        config.addinivalue_line("markers", f"{marker}: of langchain-tests")


@contextmanager
def memory_service(data_dir: Path, **settings: Any) -> Iterator[str]:
    """Serves the memory and yields its address."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    found: list[Any] = []

    async def serve() -> None:
        chosen = MemorySettings(listen="127.0.0.1:0", data_dir=data_dir, **settings)
        stop = asyncio.Event()
        try:
            async with serving(build(chosen), chosen) as server:
                await server.ready
                found.append((server.address, stop))
                ready.set()
                await stop.wait()
        except BaseException as error:
            found.append(error)
            ready.set()
            raise

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(serve())
        except Exception:
            pass
        finally:
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(30)
    if not isinstance(found[0], tuple):
        thread.join()
        raise found[0]
    address, stop = found[0]
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


@pytest.fixture(scope="package")
def own_encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a memory with its own encoder."""
    need("encoder")
    data = tmp_path_factory.mktemp("own_encoder")
    models = ServiceSettings.from_environment().data_dir / "models"
    (data / "models").symlink_to(models, target_is_directory=True)
    with memory_service(data) as address:
        yield address


@pytest.fixture(scope="package")
def langchain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a memory with embeddings of LangChain."""
    data = tmp_path_factory.mktemp("langchain")
    with memory_service(data, embeddings=f"{EMBEDDINGS}:six") as address:
        yield address
