"""The reply chosen by the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.llm.engine import Source
from services.llm.prompt.prompt import Message, Role
from services.llm.prompt.tools import ToolCall


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer before it is shortened and spoken."""

    text: str
    sources: tuple[Source, ...] = ()
    call: ToolCall | None = None
    """A tool to call before anything is said; the text is empty then."""


def unsaid(ways: Sequence[str], history: Sequence[Message]) -> str:
    """Returns the first of several variants that was said least often before."""
    said = [message.text for message in history if message.role is Role.ASSISTANT]
    return min(ways, key=lambda way: sum(way in text or text in way for text in said if text))
