"""Wishes about voice and speed: calls of the tool `change_speech`, and what came of them.

The caller offers the tool if its answers are spoken. Its result is a JSON object, in which `speed`
and `voice` are "changed", "same", "limit" (no slower or faster) or "none" (no such voice).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from services.llm.engines.retrieval.reply import Reply, unsaid
from services.llm.prompt.prompt import Prompt
from services.llm.prompt.tools import ToolCall

_TOOL: Final = "change_speech"
_CALL_ID: Final = "change-speech"


class SpeechWish(BaseModel):
    """What a wish asks for, and what is said about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arguments: dict[str, str]
    """Of the tool: `speed` or `voice`."""
    done: tuple[str, ...]
    same: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()
    """{percent}: the speed of which it is the limit."""
    none: tuple[str, ...] = ()

    def reply(self, prompt: Prompt) -> Reply | None:
        """Calls the tool, or says what came of the call; None if it is not offered."""
        results = [each for each in prompt.tool_results if each.call.name == _TOOL]
        if results:
            return Reply(text=self._told(_result(results[-1].text), prompt))
        if _TOOL not in {tool.name for tool in prompt.tools}:
            return None
        call = ToolCall(id=_CALL_ID, name=_TOOL, arguments_json=json.dumps(self.arguments))
        return Reply(text="", call=call)

    def _told(self, result: dict[str, Any], prompt: Prompt) -> str:
        outcomes = [str(result.get(argument)) for argument in self.arguments]
        ways: dict[str, Sequence[str]] = {
            "changed": self.done,
            "same": self.same,
            "limit": self.limit,
            "none": self.none,
        }
        chosen = next((ways[each] for each in outcomes if ways.get(each)), ()) or self.done
        return unsaid(chosen, prompt.history).format(percent=result.get("speed_percent", ""))


def _result(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
