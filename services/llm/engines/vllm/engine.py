"""The engine on vLLM's AsyncLLM."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from typing import Any, ClassVar, Final

from services.llm.engine import EndReason, Item, LlmEngineInfo
from services.llm.engines.chat_tokeniser import ChatTokeniser, first_prompts
from services.llm.engines.vllm.keeper import EngineKeeper
from services.llm.engines.vllm.options import VllmOptions, import_vllm
from services.llm.engines.vllm.pace import Opening, Pace
from services.llm.engines.vllm.request import MERGE_S, EngineRequest
from services.llm.engines.vllm.tools import ToolReader, tool_parser
from services.llm.metrics import (
    ABORTS,
    ANSWER_TOKENS,
    CACHED_TOKENS,
    DROPPED,
    FIRST_TOKEN_SECONDS,
    PREFILLED_TOKENS,
    PROMPT_TOKENS,
)
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Prompt
from services.llm.settings import LlmSettings
from services.llm.speech.reasoning import ReasoningHabit
from services.llm.speech.speaking import Written, cache_salt, speak
from services.runtime.engine import Report
from services.runtime.errors import AnimaError, Busy, FailedPrecondition, NotFound, Unavailable
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute
from services.runtime.process.heap import settle

_NAME: Final = "vllm"


class VllmEngine:
    """Generates answers with a vLLM engine that this process runs.

    Attributes:
    keeper: Holds the running engine.
    """

    options_type: ClassVar = VllmOptions

    def __init__(self, settings: LlmSettings) -> None:
        """Creates the engine; `open` loads the model.

        Raises:
            SettingsError: An option is invalid, or vLLM is not installed.
        """
        self._vllm = import_vllm()
        self._options = VllmOptions.of(settings)
        self._habit = ReasoningHabit(self._options.opens_in_reasoning)
        name = self._options.tool_parser
        self._tool_parser = tool_parser(name) if name else None
        self.keeper = EngineKeeper(self._options, settings.capacity)
        self._compute = Compute(threads=1, name="tokens")
        self._tokeniser: ChatTokeniser | None = None
        self._pace = Pace()

    def describe(self) -> LlmEngineInfo:
        """Describes the engine; the model has its own licence."""
        return LlmEngineInfo(
            name=_NAME,
            version=str(self._vllm.__version__),
            licence="Apache-2.0 AND LicenseRef-Model",
            languages=(),
            calls_tools=self._tool_parser is not None,
        )

    async def open(self) -> None:
        """Loads the model.

        Raises:
            AnimaError: The model cannot be used.
        """
        self._tokeniser = await self._compute.run(self._load_tokeniser)
        await self.keeper.start()

    async def prepare(self, personas: Sequence[Persona]) -> None:
        """Encodes the prefixes of the prompts and loads the adapters of the personas."""
        for prompt in first_prompts(personas):
            await self.encode(prompt)
        await self._compute.run(settle)
        _, adapters = self.keeper.living()
        for persona in personas:
            try:
                async with adapters.use(persona.profile.adapter):
                    pass
            except (NotFound, FailedPrecondition) as error:
                get_logger().error("adapter missing", why=error.message)

    async def watch(self, report: Report) -> None:
        """Restarts the engine when it has died; see `WatchedEngine`."""
        await self.keeper.watch(report)

    def answer(self, prompt: Prompt) -> AsyncGenerator[Item, None]:
        """Streams the model's answer."""
        if self._tool_parser is None:
            prompt = prompt.without_tools()
        return speak(
            prompt,
            self._written(prompt),
            habit=self._habit,
            as_written=self._options.response_format is not None,
        )

    async def prefill(self, prompt: Prompt) -> None:
        """Reads a prompt, whose full blocks then stay in the prefix cache.

        vLLM always writes a token, which is dropped.
        """
        if self._tool_parser is None:
            prompt = prompt.without_tools()
        engine, adapters = self.keeper.living()
        tokens = await self.encode(prompt)
        sampling = self.sampling()
        sampling.max_tokens = 1
        async with adapters.use(prompt.persona.profile.adapter) as lora_request:
            request = EngineRequest(
                engine,
                uuid.uuid4().hex,
                prompt=engine_input(tokens, cache_salt(prompt)),
                params=sampling,
                lora_request=lora_request,
            )
            try:
                async with request:
                    async for _ in request.outputs():
                        PREFILLED_TOKENS.labels(_NAME).inc(len(tokens))
            except Exception as error:
                raise self._told(error) from error

    async def close(self) -> None:
        """Stops the engine and its process."""
        await self.keeper.stop()
        self._compute.close()

    async def _written(self, prompt: Prompt) -> AsyncGenerator[Written, None]:
        started_s = time.perf_counter()
        engine, adapters = self.keeper.living()
        tokens = await self.encode(prompt)
        reader = self._tool_reader(engine, prompt)
        sampling = self.sampling()
        sampling.skip_special_tokens = reader is None or reader.skips_special_tokens
        sampling.stream_interval = self._pace.stream_interval()
        async with adapters.use(prompt.persona.profile.adapter) as lora_request:
            request = EngineRequest(
                engine,
                uuid.uuid4().hex,
                prompt=engine_input(tokens, cache_salt(prompt)),
                params=sampling,
                lora_request=lora_request,
            )
            reason = EndReason.COMPLETE
            opening = Opening()
            first_s, written_tokens = 0.0, 0
            try:
                async with request:
                    async for output in request.outputs():
                        written = output.outputs[0]
                        text = written.text
                        if first_s:
                            written_tokens += len(written.token_ids)
                        else:
                            first_s = time.perf_counter()
                            _count_first(first_s - started_s, len(tokens), output)
                        ANSWER_TOKENS.labels(_NAME).inc(len(written.token_ids))
                        if written.finish_reason == "length":
                            reason = EndReason.LENGTH
                        if reader is not None:
                            text = reader.feed(text, list(written.token_ids))
                        if text:
                            yield text
                            request.merge_s = MERGE_S if opening.ends_with(text) else 0.0
                self._pace.note(written_tokens, time.perf_counter() - first_s)
            except (asyncio.CancelledError, GeneratorExit):
                ABORTS.labels(_NAME).inc()
                raise
            except Exception as error:
                raise self._told(error) from error
        for call in reader.finish() if reader is not None else ():
            yield call
        yield reason

    def _tool_reader(self, engine: Any, prompt: Prompt) -> ToolReader | None:
        if self._tool_parser is None or not prompt.tools:
            return None
        return ToolReader(self._tool_parser, engine.get_tokenizer(), prompt.tools)

    async def encode(self, prompt: Prompt) -> list[int]:
        """Returns the tokens of a prompt.

        Raises:
            Unavailable: The model is not loaded yet.
            FailedPrecondition: Persona and question alone do not fit.
        """
        if self._tokeniser is None:
            raise Unavailable("the model is not loaded yet")
        if self._tokeniser.is_quick(prompt):
            tokens, chat = self._tokeniser.encode(prompt)
        else:
            tokens, chat = await self._compute.run(self._tokeniser.encode, prompt)
        DROPPED.labels(_NAME, "history").inc(chat.dropped_history)
        DROPPED.labels(_NAME, "memories").inc(chat.dropped_memories)
        return tokens

    def _told(self, error: Exception) -> AnimaError:
        """Converts an error of vLLM to the error for the caller."""
        from vllm.exceptions import MaxQueuedTokensError, QueueOverflowError, VLLMClientError

        if isinstance(error, AnimaError):
            return error
        if isinstance(error, QueueOverflowError | MaxQueuedTokensError):
            return Busy("the model's queue is full", retry_after_ms=1000)
        if isinstance(error, VLLMClientError | ValueError):
            return FailedPrecondition(f"the model rejected the request: {error}", reason="MODEL")
        self.keeper.suspect()
        get_logger().error("the engine failed", exc_info=error)
        return Unavailable("the engine failed during the answer; try again", reason="ENGINE_DOWN")

    def sampling(self) -> Any:
        """Returns vLLM's sampling parameters for an answer."""
        from vllm.sampling_params import RequestOutputKind

        options = self._options
        return self._vllm.SamplingParams(
            temperature=options.temperature,
            top_p=options.top_p if options.temperature else 1.0,
            seed=options.seed,
            max_tokens=options.max_tokens,
            stop=list(options.stop),
            output_kind=RequestOutputKind.DELTA,
            structured_outputs=_structure(options.response_format),
        )

    def _load_tokeniser(self) -> ChatTokeniser:
        from transformers import AutoTokenizer

        return ChatTokeniser(AutoTokenizer.from_pretrained(self._options.model), self._options)


def _count_first(waited_s: float, prompt_tokens: int, output: Any) -> None:
    FIRST_TOKEN_SECONDS.labels(_NAME).observe(waited_s)
    PROMPT_TOKENS.labels(_NAME).inc(prompt_tokens)
    CACHED_TOKENS.labels(_NAME).inc(output.num_cached_tokens or 0)


def engine_input(tokens: list[int], salt: str) -> dict[str, Any]:
    """Returns a prompt as built by vLLM's renderer, so that the engine's threads need not do it.

    Args:
        tokens: The tokens of the prompt.
        salt: See `cache_salt`.
    """
    return {"type": "token", "prompt_token_ids": tokens, "cache_salt": salt}


def _structure(response_format: dict[str, Any] | None) -> Any:
    """Converts OpenAI's `response_format` and vLLM's `choice`, `regex` and `grammar`."""
    if response_format is None or response_format.get("type") == "text":
        return None
    from vllm.sampling_params import StructuredOutputsParams

    kind = response_format.get("type")
    if kind == "json_schema":
        return StructuredOutputsParams(json=response_format["json_schema"]["schema"])
    if kind == "json_object":
        return StructuredOutputsParams(json_object=True)
    if kind in ("choice", "regex", "grammar"):
        return StructuredOutputsParams(**{kind: response_format[kind]})
    raise FailedPrecondition(f"ANIMA_LLM_RESPONSE_FORMAT: {kind!r} is not known")
