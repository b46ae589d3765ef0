"""What an engine is asked: one question with all that its answer may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from services.llm.citation import Citation
from services.llm.persona import Persona


class Role(Enum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, kw_only=True)
class Message:
    """One contribution to the conversation."""

    role: Role
    text: str


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
    """One question with all that its answer may use; `services.llm.chat` makes a chat of it."""

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
    )
