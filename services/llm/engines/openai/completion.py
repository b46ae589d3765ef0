"""Turns a prompt into a request for chat completions, and the chunks of its answer into output."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from services.llm.engine import EndReason
from services.llm.engines.openai.calls import CallAssembler
from services.llm.engines.openai.chunks import Chunk
from services.llm.engines.openai.client import TOO_LONG, ChatClient
from services.llm.metrics import (
    ABORTS,
    ANSWER_TOKENS,
    CACHED_TOKENS,
    DROPPED,
    FIRST_TOKEN_SECONDS,
    PREFILLED_TOKENS,
    PROMPT_TOKENS,
)
from services.llm.options import WritingOptions
from services.llm.prompt.chat import Chat, build_chat, message_fields
from services.llm.prompt.prompt import Prompt
from services.llm.speech.speaking import Written
from services.runtime.errors import FailedPrecondition
from services.runtime.observing.logs import get_logger

_MAX_STOPS: Final = 4
"""OpenAI's own limit, which most servers share."""
_TRIES: Final = 4
_SHORTER: Final = 2 / 3


class ChatCompletion:
    """Asks one server.

    Args:
        engine: The name of the engine, for metrics.
        client: The client of the server.
        options: Sampling and limits.
    """

    def __init__(self, engine: str, client: ChatClient, options: WritingOptions) -> None:
        self._engine = engine
        self._client = client
        self._options = options

    async def written(
        self, prompt: Prompt, fields: Mapping[str, Any], *, prompt_tokens: int
    ) -> AsyncGenerator[Written, None]:
        """Yields what the model writes; closing or cancelling it closes the connection.

        The tokens of a chat are estimated. If the server rejects it as too long, more is omitted
        from it and it is sent again.

        Args:
            prompt: The question.
            fields: Further fields of the request, which override those of the options.
            prompt_tokens: The maximum tokens of the chat.

        Raises:
            AnimaError: The server rejected the request, failed or stopped sending.
        """
        for tries_left in reversed(range(_TRIES)):
            chat = build_chat(prompt, max_tokens=prompt_tokens)
            body = self._body(chat) | dict(fields)
            try:
                async with aclosing(self._answer(prompt, chat, body)) as items:
                    async for item in items:
                        yield item
                return
            except FailedPrecondition as error:
                if error.reason != TOO_LONG or not tries_left:
                    raise
                prompt_tokens = int(prompt_tokens * _SHORTER)

    async def prefill(
        self, prompt: Prompt, fields: Mapping[str, Any], *, prompt_tokens: int
    ) -> None:
        """Makes the server read a prompt; cancelling it closes the connection.

        Args:
            prompt: The beginning of a question.
            fields: As for `written`.
            prompt_tokens: The maximum tokens of the chat.

        Raises:
            AnimaError: The server rejected the request or failed.
        """
        chat = build_chat(prompt, max_tokens=prompt_tokens)
        body = self._body(chat) | dict(fields) | {"max_tokens": 1}
        async with aclosing(self._client.stream(body)) as chunks:
            async for chunk in chunks:
                PREFILLED_TOKENS.labels(self._engine).inc(chunk.prompt_tokens)

    async def _answer(
        self, prompt: Prompt, chat: Chat, body: Mapping[str, Any]
    ) -> AsyncGenerator[Written, None]:
        started_s = time.perf_counter()
        first, ended, spoke = True, "", False
        calls = CallAssembler()
        try:
            async with aclosing(self._client.stream(body)) as chunks:
                async for chunk in chunks:
                    if first and (chunk.text or chunk.reasons or chunk.calls):
                        waited_s = time.perf_counter() - started_s
                        FIRST_TOKEN_SECONDS.labels(self._engine).observe(waited_s)
                        self._count_dropped(chat)
                        first = False
                    for part in chunk.calls:
                        calls.add(part)
                    self._count(chunk)
                    ended = chunk.finish_reason or ended
                    if chunk.text:
                        spoke = True
                        yield chunk.text
        except (asyncio.CancelledError, GeneratorExit):
            ABORTS.labels(self._engine).inc()
            raise
        if prompt.tools:
            for call in calls.finish(prompt.tools):
                yield call
        elif calls:
            _refuse_calls(prompt, spoke=spoke)
        yield EndReason.LENGTH if ended == "length" else EndReason.COMPLETE

    def _body(self, chat: Chat) -> dict[str, Any]:
        options = self._options
        body: dict[str, Any] = {
            "messages": [message_fields(one, parsed=False) for one in chat.messages],
            "stream": True,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "max_tokens": options.max_tokens,
        }
        if chat.tools:
            body["tools"] = [tool.as_function() for tool in chat.tools]
        if options.stop:
            body["stop"] = list(options.stop[:_MAX_STOPS])
        if options.seed is not None:
            body["seed"] = options.seed
        if options.response_format is not None:
            body["response_format"] = options.response_format
        return body

    def _count_dropped(self, chat: Chat) -> None:
        DROPPED.labels(self._engine, "history").inc(chat.dropped_history)
        DROPPED.labels(self._engine, "memories").inc(chat.dropped_memories)

    def _count(self, chunk: Chunk) -> None:
        PROMPT_TOKENS.labels(self._engine).inc(chunk.prompt_tokens)
        CACHED_TOKENS.labels(self._engine).inc(chunk.cached_tokens)
        ANSWER_TOKENS.labels(self._engine).inc(chunk.answer_tokens)


def _refuse_calls(prompt: Prompt, *, spoke: bool) -> None:
    """Raises an error for calls without offered tools, unless there is also a spoken answer."""
    if not spoke:
        raise FailedPrecondition(
            "the model called a tool instead of answering, although no tool was offered",
            reason="TOOL_CALL",
        )
    get_logger().warning("tool call ignored: no tool was offered", turn_id=prompt.turn_id)
