"""The engine that sends prompts to a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from importlib.metadata import version
from typing import Any, ClassVar, Final

from services.llm.engine import Item, LlmEngineInfo
from services.llm.engines.openai.api_key import ApiKey
from services.llm.engines.openai.client import ChatClient
from services.llm.engines.openai.completion import ChatCompletion
from services.llm.engines.openai.options import OpenAiOptions
from services.llm.metrics import ENGINE_UP
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Prompt
from services.llm.settings import LlmSettings
from services.llm.speech.reasoning import ReasoningHabit
from services.llm.speech.speaking import Written, cache_salt, speak
from services.runtime.engine import Report
from services.runtime.errors import AnimaError, FailedPrecondition, Unavailable
from services.runtime.observing.logs import get_logger

_NAME: Final = "openai"
_START_PAUSE_S: Final = 0.5


class OpenAiEngine:
    """Generates answers with a server that has an OpenAI-compatible chat completions API."""

    options_type: ClassVar = OpenAiOptions

    def __init__(self, settings: LlmSettings) -> None:
        """Creates the engine.

        Raises:
            SettingsError: An option is invalid, or no server is set.
        """
        self._options = OpenAiOptions.of(settings)
        self._habit = ReasoningHabit(self._options.opens_in_reasoning)
        self._client = ChatClient(self._options, ApiKey(settings))
        self._completion = ChatCompletion(_NAME, self._client, self._options)
        self._model = self._options.model

    def describe(self) -> LlmEngineInfo:
        """Returns the engine's description; the model's licence is known only to its server."""
        return LlmEngineInfo(
            name=_NAME,
            version=f"{version('anima')} {self._model}".strip(),
            licence="LicenseRef-Model",
            languages=(),
            calls_tools=True,
            sees_pictures=self._options.sees_pictures,
        )

    async def open(self) -> None:
        """Waits for the server and chooses the model.

        Raises:
            AnimaError: The server is not available in time, rejects the key, or has no model.
        """
        models = await self._await_models()
        if not self._model:
            if not models:
                raise FailedPrecondition(
                    "ANIMA_LLM_MODEL: must be set, because the server lists no models"
                )
            self._model = models[0]
        elif models and not {self._model, f"models/{self._model}"} & set(models):
            get_logger().warning("the server does not list the model", model=self._model)
        ENGINE_UP.labels(_NAME).set(1)

    async def prepare(self, personas: Sequence[Persona]) -> None:
        """Logs the adapters that are unused because of the settings."""
        for persona in personas:
            adapter = persona.profile.adapter
            if adapter and not self._options.adapters:
                get_logger().warning("adapter not used: ANIMA_LLM_ADAPTERS is off", adapter=adapter)

    async def watch(self, report: Report) -> None:
        """Requests the server's models periodically, and reports changes of its state."""
        down = ""
        while True:
            await asyncio.sleep(self._options.health_interval_s)
            try:
                await self._client.models()
                why = ""
            except AnimaError as error:
                why = error.message
            if why != down:
                down = why
                ENGINE_UP.labels(_NAME).set(0 if why else 1)
                await report(why)

    def answer(self, prompt: Prompt) -> AsyncGenerator[Item, None]:
        """Streams the server's answer."""
        return speak(
            prompt,
            self._written(prompt),
            habit=self._habit,
            as_written=self._options.response_format is not None,
        )

    async def prefill(self, prompt: Prompt) -> None:
        """Makes the server read a prompt, if `OpenAiOptions.prefill` is set."""
        if self._options.prefill:
            await self._completion.prefill(
                prompt, self._fields(prompt), prompt_tokens=self._options.prompt_tokens
            )

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def _await_models(self) -> list[str]:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._options.start_timeout_s
        while True:
            try:
                return await self._client.models()
            except Unavailable:
                if loop.time() + _START_PAUSE_S > deadline_s:
                    raise
            await asyncio.sleep(_START_PAUSE_S)

    def _written(self, prompt: Prompt) -> AsyncGenerator[Written, None]:
        return self._completion.written(
            prompt, self._fields(prompt), prompt_tokens=self._options.prompt_tokens
        )

    def _fields(self, prompt: Prompt) -> dict[str, Any]:
        options = self._options
        adapter = prompt.persona.profile.adapter if options.adapters else ""
        fields: dict[str, Any] = {"model": adapter or self._model}
        if options.stream_usage:
            fields["stream_options"] = {"include_usage": True}
        if options.salts:
            fields["cache_salt"] = cache_salt(prompt)
        return fields | options.extra
