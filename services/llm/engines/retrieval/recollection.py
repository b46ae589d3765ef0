"""Answers from memories about the user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from retrieval.tokeniser import FUNCTION_WORDS, tokens
from services.llm.engine import Source, SourceKind
from services.llm.engines.retrieval.phrasebook import Phrasebook, Said
from services.llm.engines.retrieval.reply import Reply, unsaid
from services.llm.prompt.prompt import Memory, Message, Role
from text.scripts import is_ideographic

_PERSONAL_FIT: Final = 0.5
_OTHER_FIT: Final = 0.75
_ALIKE_FIT: Final = 0.9
_MAX_TOLD: Final = 3
_MAX_NAME_CHARS: Final = 200


class Recollection:
    """Finds and phrases memories in one language."""

    def __init__(self, phrases: Phrasebook) -> None:
        self._phrases = phrases

    def is_personal(self, cleaned: str) -> bool:
        """Whether a question asks for something that the user may have said."""
        heard = self._phrases.heard
        return bool(heard.about_all.fullmatch(cleaned) or heard.personal.search(cleaned))

    def recall(
        self,
        cleaned: str,
        memories: Sequence[Memory],
        history: Sequence[Message],
        *,
        said: Said,
        personal: bool,
    ) -> Reply | None:
        """Answers from memories; returns None if none matches.

        Args:
            cleaned: The question as returned by `Phrasebook.clean`.
            memories: Best first.
            history: The conversation.
            said: The engine's phrases in the language of the answer.
            personal: Whether the question is about the user, which lowers the threshold.
        """
        told = [
            memory
            for memory in memories
            if memory.citation is None and not self._is_question(memory.text)
        ]
        if self._phrases.heard.about_all.fullmatch(cleaned):
            mine = [memory for memory in told if memory.role is not Role.ASSISTANT]
            return self._tell(
                [(memory, memory.score) for memory in mine[:_MAX_TOLD]], history, said
            )
        scored = sorted(
            ((memory, self._fit(cleaned, memory)) for memory in told), key=lambda pair: -pair[1]
        )
        enough = _PERSONAL_FIT if personal else _OTHER_FIT
        return self._tell([pair for pair in scored[:1] if pair[1] >= enough], history, said)

    def _fit(self, cleaned: str, memory: Memory) -> float:
        """Returns how much of the question the memory covers, 0 to 1."""
        text = self._phrases.plain(memory.text)
        if any(
            pair.question.search(cleaned) and pair.memory.search(text)
            for pair in self._phrases.heard.alike
        ):
            return _ALIKE_FIT
        asked = set(tokens(self._phrases.heard.asking.sub(" ", cleaned))) - FUNCTION_WORDS
        if not asked:
            return 0.0
        return len(asked & set(tokens(text))) / len(asked)

    def _is_question(self, text: str) -> bool:
        return text.rstrip().endswith(("?", "？"))

    def _tell(
        self, found: Sequence[tuple[Memory, float]], history: Sequence[Message], said: Said
    ) -> Reply | None:
        if not found:
            return None
        parts: list[str] = []
        for number, (memory, _) in enumerate(found):
            by_engine = memory.role is Role.ASSISTANT
            words = " ".join(memory.text.split())
            text = words if by_engine else self._phrases.in_second_person(words)
            ways = said.i_told_you if by_engine else said.you_told_me
            frame = unsaid(ways, history) if number == 0 else said.also
            parts.append(frame.format(text=_as_clause(text)))
        joined = ("" if _ends_wide(parts[0]) else " ").join(parts)
        sources = tuple(
            Source(kind=SourceKind.MEMORY, name=memory.text[:_MAX_NAME_CHARS], score=min(fit, 1.0))
            for memory, fit in found
        )
        return Reply(text=joined, sources=sources)


def _as_clause(text: str) -> str:
    """Returns a sentence in the form it has after a colon, with a full stop."""
    first = text.split(" ", 1)[0]
    if first.lower() in {"my", "your", "you", "you're", "you've", "the", "a", "an", "we", "our"}:
        text = text[:1].lower() + text[1:]
    if text[-1:] in ".!?。！？":
        return text
    return text + ("。" if is_ideographic(text[-1:]) else ".")


def _ends_wide(text: str) -> bool:
    return text[-1:] in "。！？"
