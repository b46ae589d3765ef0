"""The input of an engine: one question and the material for its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from enum import Enum

from services.llm.persona.persona import Persona
from services.llm.prompt.citation import Citation
from services.llm.prompt.tools import Tool, ToolCall, ToolResult
from services.runtime.process.clock import unix_ms


class Role(Enum):
    """The author of a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of the conversation."""

    role: Role
    text: str
    said_unix_ms: int = 0
    """When it was said; 0 if unknown."""
    pictures: tuple[bytes, ...] = ()
    """Pictures shown with it, JPEG files."""
    call: ToolCall | None = None
    """For `ASSISTANT`: the call that it makes; for `TOOL`: the call whose result the text is."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Something that is remembered about the user."""

    text: str
    score: float
    """How well it matches the question, 0 to 1."""
    role: Role
    """The author."""
    created_unix_ms: int
    """When it was said; 0 if unknown."""
    citation: Citation | None = None
    """The location of a passage of a document; None for something that was said."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One question and the material for its answer.

    `services.llm.prompt.chat` builds a chat from it.
    """

    turn_id: str
    persona: Persona
    language: str
    """BCP-47 language of the answer, one of the persona's."""
    question: str
    history: tuple[Message, ...]
    """The conversation before the question, oldest first, limited to the persona's maximum."""
    memories: tuple[Memory, ...]
    """Memories, best first, then passages of documents, best first."""
    max_words: int
    """The maximum words (Chinese: characters) of the answer."""
    word_interval_ms: int | None
    """Pause between words, for engines that generate without delay; None: the engine's default."""
    user_id: str = ""
    """The user; empty: unknown."""
    tools: tuple[Tool, ...] = ()
    """Tools that the model may call, if it supports them."""
    tool_results: tuple[ToolResult, ...] = ()
    """The calls made for this question and their results, in order."""
    pictures: tuple[bytes, ...] = ()
    """Pictures shown with the question, JPEG files."""
    now: datetime = field(
        default_factory=lambda: datetime.fromtimestamp(unix_ms() / 1000).astimezone()
    )
    """The time of the question, in the time zone of the person."""

    def without_tools(self) -> Prompt:
        """Returns the same question for an engine without tool support."""
        return replace(self, tools=(), tool_results=()) if self.tools else self

    def without_pictures(self) -> Prompt:
        """Returns the same question for an engine that cannot see."""
        if not self.pictures and not any(message.pictures for message in self.history):
            return self
        history = tuple(replace(message, pictures=()) for message in self.history)
        return replace(self, pictures=(), history=history)


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
    pictures: Sequence[bytes] = (),
    time_zone: tzinfo | None = None,
) -> Prompt:
    """Builds a prompt from a question and the material for its answer.

    Args:
        turn_id: The turn.
        persona: The persona that answers.
        language: One of the persona's languages.
        question: The user's question.
        history: Oldest first; only the newest `limits.history_messages` are kept.
        memories: Best first.
        max_words: The maximum words of the answer; 0: the persona's limit.
        word_interval_ms: Pause between words, or None.
        user_id: The user, or empty.
        tools: Tools that the model may call.
        tool_results: The calls made for this question and their results.
        pictures: JPEG files shown with the question.
        time_zone: The time zone of the person; None: that of this machine.
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
        pictures=tuple(pictures),
        now=datetime.fromtimestamp(unix_ms() / 1000).astimezone(time_zone),
    )
