from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import Counter

from services.llm.engine import Delta, End
from services.llm.engines.gguf.engine import GgufEngine
from services.llm.prompt.prompt import Prompt
from services.llm.prompt.tools import ToolCall
from services.llm.settings import LlmSettings
from testing.models.tiny_gguf import make_tiny_gguf

CONTEXT = 2_048


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    make_tiny_gguf(path)
    return path


def settings_for(model: Path | str, **options: str) -> LlmSettings:
    environment = {
        "MODEL": str(model),
        "CONTEXT_TOKENS": str(CONTEXT),
        "TEMPERATURE": "0",
        "MAX_TOKENS": "24",
    } | {name.upper(): value for name, value in options.items()}
    return LlmSettings.from_environment(
        {f"ANIMA_LLM_{name}": value for name, value in environment.items()},
        engine="gguf",
        listen="127.0.0.1:0",
    )


@asynccontextmanager
async def opened(model: Path | str, **options: str) -> AsyncIterator[GgufEngine]:
    engine = GgufEngine(settings_for(model, **options))
    try:
        await engine.open()
        yield engine
    finally:
        await engine.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tiny: Path) -> AsyncIterator[GgufEngine]:
    """An engine with the random model and one slot, for the tests of a file."""
    async with opened(tiny, slots="1") as made:
        yield made


async def read(engine: GgufEngine, prompt: Prompt) -> tuple[str, list[ToolCall], End]:
    text, calls = "", []
    async for item in engine.answer(prompt):
        if isinstance(item, Delta):
            text += item.text
        elif isinstance(item, ToolCall):
            calls.append(item)
        else:
            return text, calls, item
    raise AssertionError("no end")


def counted(counter: Counter) -> float:
    return float(counter.labels("gguf")._value.get())
