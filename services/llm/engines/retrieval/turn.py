"""A question while it is being answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.llm.engines.retrieval.dialogue.conversation import Conversation
from services.llm.engines.retrieval.matching.entries import Match
from services.llm.engines.retrieval.notes.notebook import Notebook
from services.llm.engines.retrieval.phrasebook import Said
from services.llm.engines.retrieval.reply import unsaid
from services.llm.prompt.prompt import Prompt
from text.facts.clauses import Clause


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A question while it is being answered."""

    prompt: Prompt
    heard: str
    cleaned: str
    talk: Conversation
    said: Said
    matches: list[Match]
    notebook: Notebook
    stated: Sequence[Clause]
    """The clauses of it that are statements."""

    def say(self, ways: tuple[str, ...], **values: str) -> str:
        """Returns the variant that was said least often, with its values."""
        return unsaid(ways, self.prompt.history).format(**values)
