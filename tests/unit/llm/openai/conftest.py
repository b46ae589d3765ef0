from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from services.llm.engine import Delta, End
from services.llm.engines.openai import OpenAiEngine
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Prompt
from services.llm.settings import LlmSettings
from tests.unit.llm.openai.model_server import ModelServer, model_server
from tests.unit.llm.talk import memory, prompt_for

MakeEngine = Callable[..., OpenAiEngine]
KEY = "sk-very-secret-0123456789"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as served:
        yield served


def settings_for(base_url: str, **variables: str) -> LlmSettings:
    environment = {"BASE_URL": base_url, "API_KEY": KEY, "MODEL": "tiny"} | {
        name.upper(): value for name, value in variables.items()
    }
    return LlmSettings.from_environment(
        {f"ANIMA_LLM_{name}": value for name, value in environment.items()},
        engine="openai",
        listen="127.0.0.1:0",
    )


@pytest.fixture
async def engine(server: ModelServer) -> AsyncIterator[MakeEngine]:
    """Makes engines that call the server; they are closed at the end."""
    made: list[OpenAiEngine] = []

    def make(**variables: str) -> OpenAiEngine:
        made.append(OpenAiEngine(settings_for(**{"base_url": server.base_url} | variables)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def prompt(anima: Persona) -> Prompt:
    return prompt_for(anima, "Who are you?", memories=[memory("I like tea.")])


async def read(engine: OpenAiEngine, prompt: Prompt) -> tuple[str, End]:
    text = ""
    async for item in engine.answer(prompt):
        if isinstance(item, Delta):
            text += item.text
        elif isinstance(item, End):
            return text, item
    raise AssertionError("no end")


__all__ = ["KEY", "MakeEngine", "ModelServer", "Persona", "read", "settings_for"]
