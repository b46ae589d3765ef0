"""What an engine is asked: one question with all that its answer may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from services.llm.persona.persona import Persona
from services.llm.prompt.citation import Citation
from services.llm.prompt.tools import Tool, ToolCall, ToolResult


class Role(Enum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, kw_only=True)
class Message:
    """One contribution to the conversation."""

    role: Role
    text: str
    call: ToolCall | None = None
    """Of `ASSISTANT`: the tool that it calls; of `TOOL`: the call whose result the text is."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Something that is remembered about the person."""

    text: str
    score: float
    """How well it fits the question, 0 to 1."""
    role: Role
    """Who said it."""
    created_unix_ms: int
    """When it was said; 0 if that is not known."""
    citation: Citation | None = None
    """Where it stands, for passages of documents; None: somebody said it."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One question with all that its answer may use.

    `services.llm.prompt.chat` makes a chat of it.
    """

    turn_id: str
    persona: Persona
    language: str
    """BCP-47 language of the answer, one of the persona's."""
    question: str
    history: tuple[Message, ...]
    """The conversation before the question, oldest first, cut to the persona's limit."""
    memories: tuple[Memory, ...]
    """What was said, best first, then passages of documents, best first."""
    max_words: int
    """The most words (Chinese: characters) of the answer."""
    word_interval_ms: int | None
    """Pause between words, for engines that need no time to think; None: the engine's own."""
    user_id: str = ""
    """Whose conversation it is; empty: nobody's that is known."""
    tools: tuple[Tool, ...] = ()
    """What the model may call, where it can."""
    tool_results: tuple[ToolResult, ...] = ()
    """What it has called for this question, in order."""

    def without_tools(self) -> Prompt:
        """The same question for an engine that calls no tools."""
        return replace(self, tools=(), tool_results=()) if self.tools else self


def build_prompt(
    *,
    turn_id: str,
    persona: Persona,
    language: str,
    question: str,
    history: Sequence[Message],
    memories: Sequence[Memory],
    max_words: int,
    word_interval_ms: int | None,
    user_id: str = "",
    tools: Sequence[Tool] = (),
    tool_results: Sequence[ToolResult] = (),
) -> Prompt:
    """Joins a question with what the answer may use.

    Args:
        turn_id: The turn.
        persona: Who answers.
        language: One of the persona's languages.
        question: What the person said.
        history: Oldest first; only the newest `limits.history_messages` are kept.
        memories: Best first.
        max_words: The most words of the answer; 0: the persona's limit.
        word_interval_ms: Pause between words, or None.
        user_id: Whose conversation it is, or empty.
        tools: What the model may call.
        tool_results: What it has called for this question.
    """
    limits = persona.profile.limits
    return Prompt(
        turn_id=turn_id,
        persona=persona,
        language=language,
        question=question,
        history=tuple(history[-limits.history_messages :] if limits.history_messages else ()),
        memories=tuple(memories),
        max_words=min(max_words, limits.max_words) if max_words else limits.max_words,
        word_interval_ms=word_interval_ms,
        user_id=user_id,
        tools=tuple(tools),
        tool_results=tuple(tool_results),
    )
