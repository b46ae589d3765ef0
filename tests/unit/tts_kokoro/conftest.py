"""The engine over a tiny model, and over the real one where it was pulled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.tts.engines.kokoro.engine import KokoroEngine
from services.tts.settings import TtsSettings
from tests.requirements import need
from tests.unit.tts_kokoro.tiny_kokoro import install_tiny_kokoro


async def loaded(engine: KokoroEngine) -> None:
    """Prepares an engine as the service does."""
    await engine.open()
    await engine.warm_up()


@pytest.fixture(scope="session")
def tiny_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the tiny model."""
    folder = tmp_path_factory.mktemp("tiny-kokoro")
    install_tiny_kokoro(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_data_dir: Path) -> Iterator[KokoroEngine]:
    engine = KokoroEngine(TtsSettings(data_dir=tiny_data_dir))
    asyncio.run(loaded(engine))
    yield engine
    asyncio.run(engine.close())


@pytest.fixture(scope="session")
def loaded_kokoro() -> Iterator[list[KokoroEngine]]:
    """Filled by the first test that needs it."""
    engines: list[KokoroEngine] = []
    yield engines
    for engine in engines:
        asyncio.run(engine.close())


@pytest.fixture
def kokoro(loaded_kokoro: list[KokoroEngine]) -> KokoroEngine:
    need("kokoro")
    if not loaded_kokoro:
        engine = KokoroEngine(TtsSettings.from_environment())
        asyncio.run(loaded(engine))
        loaded_kokoro.append(engine)
    return loaded_kokoro[0]
