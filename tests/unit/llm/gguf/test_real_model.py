"""The engine `gguf` with a real model, in its own template: SmolLM2 out of a package."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.llm.metrics import CACHED_TOKENS, PROMPT_TOKENS
from services.llm.persona.persona import Persona
from services.llm.settings import LlmSettings
from services.runtime.models.store import ModelStore
from tests.requirements import need
from tests.unit.llm.gguf.conftest import counted, opened, read
from tests.unit.llm.talk import prompt_for


@pytest.fixture
def smollm2() -> Path:
    need("smollm2")
    store = ModelStore(LlmSettings.from_environment().data_dir / "models")
    return next(store.path("smollm2-135m").glob("*.gguf"))


async def test_a_real_model_answers_and_reads_the_system_part_once(
    smollm2: Path, anima: Persona
) -> None:
    async with opened(smollm2, max_tokens="24") as engine:
        await engine.prepare([anima])
        cached, sent = counted(CACHED_TOKENS), counted(PROMPT_TOKENS)
        question = prompt_for(anima, "What is the capital of France?", language="en")
        text, _, _ = await read(engine, question)
        assert "Paris" in text
        new = counted(PROMPT_TOKENS) - sent - (counted(CACHED_TOKENS) - cached)
        assert new < 30, "only the question was read"
