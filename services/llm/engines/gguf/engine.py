"""The engine on llama.cpp, which runs in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Final

from services.llm.engine import Item, LlmEngineInfo
from services.llm.engines.chat_tokeniser import first_prompts
from services.llm.engines.gguf.control import URL, Control
from services.llm.engines.gguf.options import LIBRARY, GgufOptions
from services.llm.engines.gguf.process import ModelProcess
from services.llm.engines.gguf.slots import Slot, Slots
from services.llm.engines.gguf.system_parts import SystemParts
from services.llm.engines.openai.client import ChatClient
from services.llm.engines.openai.completion import ChatCompletion
from services.llm.engines.openai.options import OpenAiOptions
from services.llm.engines.revival import revive
from services.llm.metrics import ENGINE_RESTARTS, ENGINE_UP
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Prompt
from services.llm.settings import LlmSettings
from services.llm.speech.reasoning import ReasoningHabit
from services.llm.speech.speaking import Written, speak
from services.runtime.engine import Report
from services.runtime.errors import Unavailable
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import first_of

_NAME: Final = "gguf"


class GgufEngine:
    """Generates answers with a model file in the format GGUF.

    Attributes:
        process: Holds the model.
        context_tokens: The context of each slot; known after `open`.
    """

    options_type: ClassVar = GgufOptions

    def __init__(self, settings: LlmSettings) -> None:
        """Creates the engine; `open` loads the model.

        Raises:
            SettingsError: An option is invalid, or the library is not installed.
        """
        options = GgufOptions.of(settings)
        self._options = options
        self._habit = ReasoningHabit(options.opens_in_reasoning)
        self.process = ModelProcess(options)
        http = OpenAiOptions(
            base_url=URL,
            retries=0,
            first_token_timeout_s=options.first_token_timeout_s,
            between_tokens_timeout_s=options.between_tokens_timeout_s,
        )
        socket = self.process.socket
        self._control = Control(socket, read_timeout_s=options.first_token_timeout_s)
        self._client = ChatClient(http, socket=socket)
        self._completion = ChatCompletion(_NAME, self._client, options)
        self._slots = Slots(options.slots)
        self._parts = SystemParts(self._control, self.process.folder, options.chat_template_kwargs)
        self.context_tokens = options.context_tokens
        self._model = ""

    def describe(self) -> LlmEngineInfo:
        """Describes the engine; the model has its own licence."""
        return LlmEngineInfo(
            name=_NAME,
            version=f"{version(LIBRARY)} {self._model}".strip(),
            licence="MIT AND LicenseRef-Model",
            languages=(),
            calls_tools=True,
            sees_pictures=bool(self._options.vision_model),
        )

    async def open(self) -> None:
        """Loads the model.

        Raises:
            FailedPrecondition: The model cannot be loaded.
        """
        await self._start()
        ENGINE_UP.labels(_NAME).set(1)

    async def prepare(self, personas: Sequence[Persona]) -> None:
        """Computes the system parts of the first persona, so that first questions are fast."""
        for prompt in first_prompts(personas[:1]):
            async with self._slots.use(prompt) as slot:
                await self._parts.load(slot.number, prompt)
        for persona in personas:
            if persona.profile.adapter:
                get_logger().warning(
                    "adapter not used: the engine gguf has none", adapter=persona.profile.adapter
                )

    async def watch(self, report: Report) -> None:
        """Starts the process again whenever it has ended, and reports both."""
        while True:
            why = await self.process.ended()
            get_logger().error("the process of the model has ended", why=why)
            ENGINE_UP.labels(_NAME).set(0)
            await report("the process of the model has ended and is being started again")
            await revive(self._start)
            ENGINE_RESTARTS.labels(_NAME).inc()
            ENGINE_UP.labels(_NAME).set(1)
            await report("")

    def answer(self, prompt: Prompt) -> AsyncGenerator[Item, None]:
        """Streams the model's answer."""
        return speak(
            prompt,
            self._written(prompt),
            habit=self._habit,
            as_written=self._options.response_format is not None,
        )

    async def prefill(self, prompt: Prompt) -> None:
        """Reads a prompt into a free slot, where the question that follows finds it."""
        if self._slots.full:
            return
        async with self._ready_slot(prompt, prefilling=True) as (slot, fields):
            await first_of(
                self._completion.prefill(prompt, fields, prompt_tokens=self._prompt_tokens),
                _set(slot.wanted),
                name="gguf prefill",
            )

    async def close(self) -> None:
        """Ends the process."""
        ENGINE_UP.labels(_NAME).set(0)
        await self._client.close()
        await self._control.close()
        await self.process.close()

    async def _start(self) -> None:
        self._slots.forget()
        self._parts.forget()
        await self.process.start()
        loaded = await self._control.loaded()
        self.context_tokens = _context_tokens(loaded) or self._options.context_tokens
        self._model = Path(self._options.model).stem
        get_logger().info(
            "model loaded",
            model=self._model,
            slots=self._options.slots,
            context_tokens=self.context_tokens,
            memory_mb=await asyncio.to_thread(self.process.memory_mb),
        )

    async def _written(self, prompt: Prompt) -> AsyncGenerator[Written, None]:
        async with self._ready_slot(prompt) as (_, fields):
            written = self._completion.written(prompt, fields, prompt_tokens=self._prompt_tokens)
            async with aclosing(written):
                async for item in written:
                    yield item

    @asynccontextmanager
    async def _ready_slot(
        self, prompt: Prompt, *, prefilling: bool = False
    ) -> AsyncIterator[tuple[Slot, dict[str, Any]]]:
        """Occupies a slot that holds nothing of others; yields it and the fields of requests."""
        async with self._slots.use(prompt, prefilling=prefilling) as slot:
            if not self.process.alive:
                raise Unavailable(
                    "the process of the model is being started again; try again",
                    reason="ENGINE_DOWN",
                )
            yield (
                slot,
                {
                    "id_slot": slot.number,
                    "cache_prompt": not slot.strange or await self._parts.load(slot.number, prompt),
                    "chat_template_kwargs": self._options.chat_template_kwargs,
                    "stream_options": {"include_usage": True},
                },
            )

    @property
    def _prompt_tokens(self) -> int:
        return self._options.prompt_tokens_of(self.context_tokens)


def _context_tokens(loaded: dict[str, Any]) -> int:
    """Returns the context of a slot: a model with a shorter one gets no longer one."""
    settings = loaded.get("default_generation_settings")
    found = settings.get("n_ctx") if isinstance(settings, dict) else None
    return found if isinstance(found, int) else 0


async def _set(event: asyncio.Event) -> None:
    await event.wait()
