from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.embedding import Embedder
from services.llm.engines.retrieval.answerer import Answerer
from services.llm.persona.persona import Persona, load_persona
from services.llm.settings import LlmSettings
from services.runtime.models.store import ModelStore
from tests.requirements import ROOT, need
from tests.unit.llm.talk import Talk

PERSONAS = ROOT / "personas"


@pytest.fixture(scope="session")
def anima() -> Persona:
    return load_persona(PERSONAS / "anima")


@pytest.fixture(scope="session")
def by_words(anima: Persona) -> Answerer:
    """The shipped persona without a model of meanings."""
    return Answerer(anima, None)


@pytest.fixture(scope="session")
def by_meaning(anima: Persona) -> Answerer:
    """The shipped persona with its model of meanings."""
    need("minilm")
    settings = LlmSettings.from_environment()
    folder = ModelStore(settings.data_dir / "models").path(settings.embedding_model)
    return Answerer(anima, Embedder(folder))


@pytest.fixture
def talk(anima: Persona, by_words: Answerer) -> Talk:
    return Talk(anima, by_words)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for personas."""
    return tmp_path / "personas"
