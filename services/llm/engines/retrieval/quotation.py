"""Quotes document passages that the memory found, and names the document."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from retrieval.tokeniser import FUNCTION_WORDS, tokens
from services.llm.engine import Source, SourceKind
from services.llm.engines.retrieval.phrasebook import Phrasebook, Said
from services.llm.engines.retrieval.reply import Reply, unsaid
from services.llm.prompt.prompt import Memory, Message
from services.llm.speech.words import sentences

# How much of the question a passage must cover, including its score. A question about another topic
# shares a word or two with a passage; one that it answers shares most.
_ACCEPT: Final = 0.5
_SCORE_SHARE: Final = 0.3
_MAX_SENTENCES: Final = 2
# Words that ask for a measure occur in few answers.
_MEASURES: Final = frozenset(tokens("many much long often far old big high late early 多少 几 多"))
_MEASURE_WEIGHT: Final = 0.3


@dataclass(frozen=True, kw_only=True)
class _Quote:
    passage: Memory
    text: str
    fit: float


class Quotation:
    """Quotes passages for questions in one language."""

    def __init__(self, phrases: Phrasebook) -> None:
        self._phrases = phrases

    def quote(
        self, cleaned: str, passages: Sequence[Memory], history: Sequence[Message], said: Said
    ) -> Reply | None:
        """Quotes the passage that matches best; returns None if none matches.

        Args:
            cleaned: The question as returned by `Phrasebook.clean`.
            passages: The passages found in documents, best first.
            history: The conversation.
            said: The engine's phrases in the language of the answer.
        """
        asked = frozenset(tokens(self._phrases.heard.asking.sub(" ", cleaned))) - FUNCTION_WORDS
        if not asked:
            return None
        quotes = [self._cut(asked, passage) for passage in passages if passage.citation]
        best = max(quotes, key=lambda quote: quote.fit, default=None)
        if best is None or best.fit < _ACCEPT or best.passage.citation is None:
            return None
        citation = best.passage.citation
        ways = said.quoted_page if citation.page else said.quoted
        text = unsaid(ways, history).format(
            title=citation.title, page=citation.page, text=best.text
        )
        source = Source(kind=SourceKind.DOCUMENT, name=citation.label, score=best.fit)
        return Reply(text=text, sources=(source,))

    def _cut(self, asked: frozenset[str], passage: Memory) -> _Quote:
        """Selects the one or two sentences that cover most of the question."""
        above = set(tokens(passage.citation.label)) if passage.citation else set()
        parts = sentences(passage.text)
        stretches = [
            parts[start : start + count]
            for count in range(1, _MAX_SENTENCES + 1)
            for start in range(len(parts) - count + 1)
        ]
        # Words that occur only in the headings are no reason to prefer a sentence.
        held = [set(tokens("".join(stretch))) for stretch in stretches]
        best = max(range(len(stretches)), key=lambda at: _weight(asked & held[at]))
        covered = _weight(asked & (above | held[best])) / _weight(asked)
        fit = (1 - _SCORE_SHARE) * covered + _SCORE_SHARE * passage.score
        text = " ".join("".join(stretches[best]).split())
        return _Quote(passage=passage, text=text, fit=min(fit, 1.0))


def _weight(words: AbstractSet[str]) -> float:
    return sum(_MEASURE_WEIGHT if word in _MEASURES else 1.0 for word in words)
