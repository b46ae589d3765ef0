"""Separates tool calls from text in a model's output, with vLLM's own parsers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.llm.prompt.tools import Tool, ToolCall, read_call
from services.runtime.config.settings import SettingsError


def tool_parser(name: str) -> Any:
    """Returns vLLM's parser for the call format of a kind of model.

    Raises:
        SettingsError: vLLM has no parser of that name.
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
        skips_special_tokens: For the sampling parameters: some models write calls in such tokens.
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
        # the parts of a request that the parsers read; they do not need the messages
        self._request = self._streaming.adjust_request(
            ChatCompletionRequest(messages=[], tools=offered, tool_choice="auto")
        )
        self.skips_special_tokens = bool(self._request.skip_special_tokens)
        self._text = ""
        self._tokens: list[int] = []

    def feed(self, text: str, tokens: Sequence[int]) -> str:
        """Takes more of the answer; returns the part that is certainly not a call."""
        known_text, known_tokens = self._text, self._tokens
        self._text = known_text + text
        self._tokens = [*known_tokens, *tokens]
        found = self._streaming.extract_tool_calls_streaming(
            known_text, self._text, text, known_tokens, self._tokens, tokens, self._request
        )
        return (found.content or "") if found is not None else ""

    def finish(self) -> list[ToolCall]:
        """Returns the calls of the whole answer.

        Raises:
            Unavailable: A call is not of an offered tool.
        """
        found = self._whole.extract_tool_calls(self._text, self._request)
        if not found.tools_called:
            return []
        return [
            read_call(call.id, call.function.name, call.function.arguments, self._tools)
            for call in found.tool_calls
        ]
