"""Tells calls of tools from text in what a model writes, by vLLM's own parsers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.llm.prompt.tools import Tool, ToolCall, read_call
from services.runtime.settings import SettingsError


def tool_parser(name: str) -> Any:
    """VLLM's parser for the form in which a kind of model writes its calls.

    Raises:
        SettingsError: VLLM has none of that name.
    """
    from vllm.tool_parsers import ToolParserManager

    try:
        return ToolParserManager.get_tool_parser(name)
    except KeyError:
        known = {*ToolParserManager.tool_parsers, *ToolParserManager.lazy_parsers}
        raise SettingsError(
            f"ANIMA_LLM_TOOL_PARSER: {name!r} is not one of: {', '.join(sorted(known))}"
        ) from None


class ToolReader:
    """Reads one answer.

    Attributes:
        skips_special_tokens: What the engine must be told: some models write calls in such tokens.
    """

    def __init__(self, parser: Any, tokeniser: Any, tools: Sequence[Tool]) -> None:
        from vllm.entrypoints.openai.chat_completion.protocol import (
            ChatCompletionRequest,
            ChatCompletionToolsParam,
        )

        offered = [ChatCompletionToolsParam(**tool.as_function()) for tool in tools]
        self._tools = tools
        self._streaming = parser(tokeniser, offered)
        self._whole = parser(tokeniser, offered)
        # what the parsers read of a request; the messages are none of their business
        self._request = self._streaming.adjust_request(
            ChatCompletionRequest(messages=[], tools=offered, tool_choice="auto")
        )
        self.skips_special_tokens = bool(self._request.skip_special_tokens)
        self._text = ""
        self._tokens: list[int] = []

    def feed(self, text: str, tokens: Sequence[int]) -> str:
        """Takes more of the answer; returns what of it is certainly no part of a call."""
        known_text, known_tokens = self._text, self._tokens
        self._text = known_text + text
        self._tokens = [*known_tokens, *tokens]
        found = self._streaming.extract_tool_calls_streaming(
            known_text, self._text, text, known_tokens, self._tokens, tokens, self._request
        )
        return (found.content or "") if found is not None else ""

    def finish(self) -> list[ToolCall]:
        """The calls of the whole answer.

        Raises:
            Unavailable: One is no call of a tool that was offered.
        """
        found = self._whole.extract_tool_calls(self._text, self._request)
        if not found.tools_called:
            return []
        return [
            read_call(call.id, call.function.name, call.function.arguments, self._tools)
            for call in found.tool_calls
        ]
