"""The engine that sends prompts to a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib.metadata import version
from typing import Any, ClassVar, Final

from services.llm.engine import EndReason, Item, LlmEngineInfo
from services.llm.engines.openai.calls import CallAssembler
from services.llm.engines.openai.chunks import Chunk
from services.llm.engines.openai.client import ChatClient
from services.llm.engines.openai.options import OpenAiOptions
from services.llm.metrics import (
    ABORTS,
    ANSWER_TOKENS,
    CACHED_TOKENS,
    DROPPED,
    ENGINE_UP,
    FIRST_TOKEN_SECONDS,
    PROMPT_TOKENS,
)
from services.llm.persona.persona import Persona
from services.llm.prompt.chat import build_chat, message_fields
from services.llm.prompt.prompt import Prompt
from services.llm.settings import LlmSettings
from services.llm.speech.speaking import Written, cache_salt, speak
from services.runtime.engine import Report
from services.runtime.errors import AnimaError, FailedPrecondition, Unavailable
from services.runtime.observing.logs import get_logger

_NAME: Final = "openai"
_START_PAUSE_S: Final = 0.5
_MAX_STOPS: Final = 4
"""OpenAI's own limit, which most servers share."""


class OpenAiEngine:
    """Generates answers with a server that has an OpenAI-compatible chat completions API."""

    options_type: ClassVar = OpenAiOptions

    def __init__(self, settings: LlmSettings) -> None:
        """Creates the engine.

        Raises:
            SettingsError: An option is invalid, or no server is set.
        """
        self._options = OpenAiOptions.of(settings)
        self._client = ChatClient(self._options, settings)
        self._model = self._options.model

    def describe(self) -> LlmEngineInfo:
        """Returns the engine's description; the model's licence is known only to its server."""
        return LlmEngineInfo(
            name=_NAME,
            version=f"{version('anima')} {self._model}".strip(),
            licence="LicenseRef-Model",
            languages=(),
            calls_tools=True,
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
            opens_in_reasoning=self._options.opens_in_reasoning,
            as_written=self._options.response_format is not None,
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

    async def _written(self, prompt: Prompt) -> AsyncGenerator[Written, None]:
        started_s = time.perf_counter()
        first, ended, spoke = True, "", False
        calls = CallAssembler()
        try:
            async with aclosing(self._client.stream(self._body(prompt))) as chunks:
                async for chunk in chunks:
                    if first and (chunk.text or chunk.reasons or chunk.calls):
                        FIRST_TOKEN_SECONDS.labels(_NAME).observe(time.perf_counter() - started_s)
                        first = False
                    for part in chunk.calls:
                        calls.add(part)
                    _count(chunk)
                    ended = chunk.finish_reason or ended
                    if chunk.text:
                        spoke = True
                        yield chunk.text
        except (asyncio.CancelledError, GeneratorExit):
            ABORTS.labels(_NAME).inc()
            raise
        if prompt.tools:
            for call in calls.finish(prompt.tools):
                yield call
        elif calls:
            _refuse_calls(prompt, spoke=spoke)
        yield EndReason.LENGTH if ended == "length" else EndReason.COMPLETE

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        options = self._options
        chat = build_chat(prompt, max_tokens=options.prompt_tokens)
        DROPPED.labels(_NAME, "history").inc(chat.dropped_history)
        DROPPED.labels(_NAME, "memories").inc(chat.dropped_memories)
        adapter = prompt.persona.profile.adapter if options.adapters else ""
        body: dict[str, Any] = {
            "model": adapter or self._model,
            "messages": [message_fields(one, parsed=False) for one in chat.messages],
            "stream": True,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "max_tokens": options.max_tokens,
        }
        if options.stream_usage:
            body["stream_options"] = {"include_usage": True}
        if chat.tools:
            body["tools"] = [tool.as_function() for tool in chat.tools]
        if options.stop:
            body["stop"] = list(options.stop[:_MAX_STOPS])
        if options.seed is not None:
            body["seed"] = options.seed
        if options.response_format is not None:
            body["response_format"] = options.response_format
        if options.salts:
            body["cache_salt"] = cache_salt(prompt)
        return body | options.extra


def _refuse_calls(prompt: Prompt, *, spoke: bool) -> None:
    """Raises an error for calls without offered tools, unless there is also a spoken answer."""
    if not spoke:
        raise FailedPrecondition(
            "the model called a tool instead of answering, although no tool was offered",
            reason="TOOL_CALL",
        )
    get_logger().warning("tool call ignored: no tool was offered", turn_id=prompt.turn_id)


def _count(chunk: Chunk) -> None:
    PROMPT_TOKENS.labels(_NAME).inc(chunk.prompt_tokens)
    CACHED_TOKENS.labels(_NAME).inc(chunk.cached_tokens)
    ANSWER_TOKENS.labels(_NAME).inc(chunk.answer_tokens)
