"""Tools that a model may call: what is offered, what it calls, what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.runtime.errors import Unavailable


@dataclass(frozen=True, kw_only=True)
class Tool:
    """Something that the caller can do for the model."""

    name: str
    description: str
    parameters: dict[str, Any]
    """The JSON Schema of the arguments."""

    def as_function(self) -> dict[str, Any]:
        """The tool as OpenAI's chat completions and chat templates know it."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": self.parameters,
            },
        }


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A model's wish to have a tool called."""

    id: str
    name: str
    arguments_json: str
    """A JSON object."""

    def arguments(self) -> dict[str, Any]:
        """The arguments, parsed."""
        parsed: dict[str, Any] = json.loads(self.arguments_json)
        return parsed


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """What came of a call."""

    call: ToolCall
    text: str


def read_call(call_id: str, name: str, arguments_json: str, tools: Sequence[Tool]) -> ToolCall:
    """Checks what a model has written as a call.

    Raises:
        Unavailable: It is no call of a tool that was offered; the next try may go better.
    """
    if name not in {tool.name for tool in tools}:
        raise Unavailable(f"the model called a tool that it was not offered: {name[:64]!r}")
    try:
        parsed = json.loads(arguments_json or "{}")
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Unavailable(f"the model called {name!r} with arguments that are no JSON object")
    return ToolCall(id=call_id, name=name, arguments_json=arguments_json or "{}")
