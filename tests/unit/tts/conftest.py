"""The engines, made once: loading flite's voices takes 30 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from services.tts.engines.espeak import EspeakEngine
from services.tts.engines.flite import FliteEngine
from services.tts.settings import TtsSettings
from tests.requirements import need


@pytest.fixture(scope="session")
def espeak() -> Iterator[EspeakEngine]:
    engine = EspeakEngine(TtsSettings())
    yield engine
    asyncio.run(engine.close())


@pytest.fixture(scope="session")
def loaded_flite() -> Iterator[list[FliteEngine]]:
    """Filled by the first test that needs it, so that a missing library is asked for by name."""
    engines: list[FliteEngine] = []
    yield engines
    for engine in engines:
        asyncio.run(engine.close())


@pytest.fixture
def flite(loaded_flite: list[FliteEngine]) -> FliteEngine:
    need("flite")
    if not loaded_flite:
        loaded_flite.append(FliteEngine(TtsSettings()))
    return loaded_flite[0]
