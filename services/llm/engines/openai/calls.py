"""Assembles the tool calls that a server streams in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.llm.engines.openai.chunks import CallPart
from services.llm.prompt.tools import Tool, ToolCall, read_call


@dataclass
class _Growing:
    """A call whose pieces are still arriving."""

    index: int | None
    id: str
    name: str
    arguments: str


class CallAssembler:
    """Collects pieces by index; a piece without an index and with a new id begins a new call."""

    def __init__(self) -> None:
        self._calls: list[_Growing] = []

    def __bool__(self) -> bool:
        """Whether there are any calls."""
        return bool(self._calls)

    def add(self, part: CallPart) -> None:
        """Adds a piece."""
        call = self._find(part)
        if call is None:
            self._calls.append(_Growing(part.index, part.id, part.name, part.arguments))
            return
        call.id = call.id or part.id
        # names are never split; some servers repeat them in each piece
        call.name = call.name or part.name
        call.arguments += part.arguments

    def finish(self, tools: Sequence[Tool]) -> list[ToolCall]:
        """Returns the calls in order.

        Raises:
            Unavailable: A call does not fit any tool that was offered.
        """
        return [
            read_call(call.id or f"call_{number}", call.name, call.arguments, tools)
            for number, call in enumerate(self._calls)
        ]

    def _find(self, part: CallPart) -> _Growing | None:
        if part.index is not None:
            return next((call for call in self._calls if call.index == part.index), None)
        last = self._calls[-1] if self._calls else None
        begins = part.name and (not part.id or last is None or part.id != last.id)
        return None if begins else last
