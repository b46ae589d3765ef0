from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.embedding import Embedder
from retrieval.encoders import DEFAULT_ENCODER, ENGLISH_ENCODER
from retrieval.joined import JoinedEmbedder
from services.llm.engines.retrieval.answerer import Answerer
from services.llm.engines.retrieval.matching.tuning import BY_WORDS, Encoders
from services.llm.engines.retrieval.matching.vectors import KeptVectors
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
    return Answerer(anima, BY_WORDS)


@pytest.fixture(scope="session")
def by_meaning(anima: Persona) -> Answerer:
    """The shipped persona with its model of meanings."""
    need("encoder")
    need("minilm")
    models = ModelStore(LlmSettings.from_environment().data_dir / "models")
    everywhere = Embedder(models.path(DEFAULT_ENCODER))
    english = JoinedEmbedder(everywhere, Embedder(models.path(ENGLISH_ENCODER)))
    # Computed once for all runs, not once per run.
    kept = [
        KeptVectors(encoder, ROOT / ".cache" / "test-vectors" / "unit" / f"{name}.npz")
        for name, encoder in (("everywhere", everywhere), ("english", english))
    ]
    answerer = Answerer(anima, Encoders(everywhere=kept[0], english=kept[1]))
    for vectors in kept:
        vectors.keep()
    return answerer


@pytest.fixture
def talk(anima: Persona, by_words: Answerer) -> Talk:
    return Talk(anima, by_words)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for personas."""
    return tmp_path / "personas"
