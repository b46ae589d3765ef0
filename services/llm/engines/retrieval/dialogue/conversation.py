"""The conversation before a question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from services.llm.engine import Source, SourceKind
from services.llm.persona.corpus import Entry
from services.llm.prompt.prompt import Message, Role

# An interrupted answer is recognised by its heard beginning, unless it is shorter than this.
_MIN_HEARD_CHARS: Final = 6
_MAX_NAME_CHARS: Final = 200


class Conversation:
    """The history of a question, oldest message first."""

    def __init__(self, history: Sequence[Message], steers: Callable[[str], bool]) -> None:
        """Reads the history.

        Args:
            history: The messages.
            steers: Whether a message such as "Tell me more." names no topic of its own.
        """
        self.history = history
        asked = [one.text for one in reversed(history) if one.role is Role.USER]
        self.last_question = asked[0] if asked else ""
        self.last_topic = next((text for text in asked if not steers(text)), "")
        self.last_answer = next(
            (one.text for one in reversed(history) if one.role is Role.ASSISTANT), ""
        )

    def was_said(self, text: str) -> bool:
        """Whether the digital human has said a text, alone or as part of an answer."""
        return any(
            text in message.text for message in self.history if message.role is Role.ASSISTANT
        )

    def last_entry(self, entries: Iterable[Entry]) -> Entry | None:
        """Returns the entry of the last answer, of which perhaps only the beginning was heard."""
        heard = self.last_answer.strip()
        if len(heard) < _MIN_HEARD_CHARS:
            return None
        for entry in entries:
            for wording in entry.wordings.values():
                for text in (*wording.answers, wording.more):
                    if text and (text.startswith(heard) or heard.startswith(text)):
                        return entry
        return None

    def source(self, text: str) -> Source:
        """Returns a message of the history as the source of an answer."""
        return Source(kind=SourceKind.HISTORY, name=text[:_MAX_NAME_CHARS], score=1.0)
