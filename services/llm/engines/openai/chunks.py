"""The chunks of a streamed chat completion."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from services.runtime.errors import Unavailable


@dataclass(frozen=True, kw_only=True)
class CallPart:
    """A piece of a tool call."""

    index: int | None
    """The index of the call within the answer; None if the server sends no index."""
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """The content of one event."""

    text: str = ""
    reasons: bool = False
    """Whether it contained reasoning, which is not spoken."""
    calls: tuple[CallPart, ...] = ()
    finish_reason: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    answer_tokens: int = 0


def read_chunk(data: str) -> Chunk:
    """Parses the JSON of an event; unknown fields are ignored.

    Raises:
        Unavailable: It is not a JSON object, or it reports an error of the server.
    """
    try:
        event = json.loads(data)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise Unavailable("the model's server sent an event that is not a JSON object")
    if event.get("error"):
        raise Unavailable(f"the model's server failed: {error_text(event)}")
    choice = _first(event.get("choices"))
    delta = _table(choice.get("delta"))
    usage = _table(event.get("usage"))
    return Chunk(
        text=_text(delta.get("content")),
        reasons=bool(delta.get("reasoning_content") or delta.get("reasoning")),
        calls=_call_parts(delta),
        finish_reason=str(choice.get("finish_reason") or ""),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        cached_tokens=_count(_table(usage.get("prompt_tokens_details")).get("cached_tokens")),
        answer_tokens=_count(usage.get("completion_tokens")),
    )


def _call_parts(delta: dict[str, Any]) -> tuple[CallPart, ...]:
    calls = delta.get("tool_calls")
    if not isinstance(calls, list):
        # the predecessor of tool_calls: a single call without an index
        function = delta.get("function_call")
        calls = [{"index": 0, "function": function}] if function else []
    return tuple(_call_part(_table(call)) for call in calls)


def _call_part(call: dict[str, Any]) -> CallPart:
    function = _table(call.get("function"))
    index, arguments = call.get("index"), function.get("arguments")
    return CallPart(
        index=index if isinstance(index, int) else None,
        id=_text(call.get("id")),
        name=_text(function.get("name")),
        # Ollama used to send objects
        arguments=json.dumps(arguments) if isinstance(arguments, dict) else _text(arguments),
    )


def error_text(body: Any) -> str:
    """Returns a server's error message, in any of the known formats; at most 300 characters."""
    error = _first(body) if isinstance(body, list) else body
    if isinstance(error, dict):
        error = error.get("error", error)
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return " ".join(str(error).split())[:300]


def is_too_long(body: bytes) -> bool:
    """Returns whether a server's error says that the chat exceeds the context of the model.

    It is `type` of llama.cpp's server and `code` of OpenAI; vLLM only says so in words.
    """
    try:
        error = _table(_table(json.loads(body)).get("error"))
    except ValueError:
        return False
    if error.get("type") == "exceed_context_size_error":
        return True
    if error.get("code") == "context_length_exceeded":
        return True
    return "maximum context length" in str(error.get("message"))


def _first(value: object) -> dict[str, Any]:
    return _table(value[0]) if isinstance(value, list) and value else {}


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(content: object) -> str:
    if isinstance(content, list):  # some servers send a list of parts
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
