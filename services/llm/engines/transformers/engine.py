"""The engine on the transformers library: small and simple, one answer at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from importlib.metadata import version
from typing import Any, ClassVar, Final

from services.llm.engine import EndReason, Item, LlmEngineInfo
from services.llm.engines.local_model import LocalModelOptions, import_library
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Prompt
from services.llm.settings import LlmSettings
from services.llm.speech.reasoning import ReasoningHabit
from services.llm.speech.speaking import Written, speak
from services.runtime.config.settings import SettingsError
from services.runtime.errors import Unavailable
from services.runtime.process.compute import Compute

_NAME: Final = "transformers"
_MAX_BUFFERED: Final = 32_768
"""More than the pieces of any answer: a slow reader must not block the only thread."""


class TransformersEngine:
    """Generates answers with a model in this process, one at a time.

    Other questions wait meanwhile; for many concurrent streams use vLLM.
    """

    options_type: ClassVar = LocalModelOptions

    def __init__(self, settings: LlmSettings) -> None:
        """Creates the engine; `open` loads the model.

        Raises:
            SettingsError: An option is invalid, or the library is not installed.
        """
        self._options = LocalModelOptions.of(settings)
        self._habit = ReasoningHabit(self._options.opens_in_reasoning)
        if self._options.response_format is not None:
            raise SettingsError("ANIMA_LLM_RESPONSE_FORMAT: only vllm and openai support it")
        import_library("transformers")
        self._compute = Compute(threads=1, name="transformers")
        self._model: Any = None

    def describe(self) -> LlmEngineInfo:
        """Describes the engine; the model has its own licence."""
        return LlmEngineInfo(
            name=_NAME,
            version=version("transformers"),
            licence="Apache-2.0 AND LicenseRef-Model",
            languages=(),
        )

    async def open(self) -> None:
        """Loads the model.

        Raises:
            FailedPrecondition: The model cannot be read.
        """
        self._model = await self._compute.run(self._load)

    async def prepare(self, personas: Sequence[Persona]) -> None:
        """Does nothing: an adapter is loaded with the first question for its persona."""

    def answer(self, prompt: Prompt) -> AsyncGenerator[Item, None]:
        """Streams the model's answer."""
        prompt = prompt.without_tools()
        return speak(prompt, self._written(prompt), habit=self._habit)

    async def close(self) -> None:
        """Frees the model."""
        self._model = None
        self._compute.close()

    async def _written(self, prompt: Prompt) -> AsyncGenerator[Written, None]:
        model = self._model
        if model is None:
            raise Unavailable("the model is not loaded yet")

        def write(emit: Callable[[str | EndReason], bool]) -> None:
            model.write(prompt, emit)

        async with aclosing(self._compute.stream(write, max_buffered=_MAX_BUFFERED)) as items:
            async for item in items:
                yield item

    def _load(self) -> Any:
        from services.llm.engines.transformers.model import LoadedModel

        return LoadedModel(self._options)
