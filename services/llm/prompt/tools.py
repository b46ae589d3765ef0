"""Tools that a model may call: offered tools, calls and results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.runtime.errors import Unavailable


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A function that the caller can run for the model."""

    name: str
    description: str
    parameters: dict[str, Any]
    """The JSON Schema of the arguments."""

    def as_function(self) -> dict[str, Any]:
        """Returns the tool in the format of OpenAI's chat completions and of chat templates."""
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
    """A request by the model to call a tool."""

    id: str
    name: str
    arguments_json: str
    """A JSON object."""

    def arguments(self) -> dict[str, Any]:
        """Returns the parsed arguments."""
        parsed: dict[str, Any] = json.loads(self.arguments_json)
        return parsed


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """The result of a call."""

    call: ToolCall
    text: str


def read_call(call_id: str, name: str, arguments_json: str, tools: Sequence[Tool]) -> ToolCall:
    """Validates a call written by a model.

    Raises:
        Unavailable: It is not a call of an offered tool; a retry may succeed.
    """
    if name not in {tool.name for tool in tools}:
        raise Unavailable(f"the model called a tool that was not offered: {name[:64]!r}")
    try:
        parsed = json.loads(arguments_json or "{}")
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Unavailable(f"the model called {name!r} with arguments that are not a JSON object")
    return ToolCall(id=call_id, name=name, arguments_json=arguments_json or "{}")
