from __future__ import annotations

from pathlib import Path

import pytest

from services.llm.engines.retrieval.answerer import Answerer
from services.llm.persona.persona import Persona, load_persona
from tests.requirements import ROOT
from tests.unit.llm.talk import Talk

PERSONAS = ROOT / "personas"


@pytest.fixture(scope="session")
def anima() -> Persona:
    return load_persona(PERSONAS / "anima")


@pytest.fixture(scope="session")
def by_words(anima: Persona) -> Answerer:
    """The shipped persona without a model of meanings."""
    return Answerer(anima, None)


@pytest.fixture
def talk(anima: Persona, by_words: Answerer) -> Talk:
    return Talk(anima, by_words)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for personas."""
    return tmp_path / "personas"
