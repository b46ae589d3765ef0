"""Finds the sentences of a persona's documents that answer a question."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from retrieval.hybrid import HybridIndex, TextEmbedder
from retrieval.tokeniser import FUNCTION_WORDS, tokens
from services.llm.engines.retrieval.phrasebook import Phrasebook
from services.llm.persona.documents import Passage
from services.llm.speech.words import sentences

_CANDIDATES: Final = 8
_MAX_SENTENCES: Final = 2


@dataclass(frozen=True, kw_only=True)
class Found:
    """Sentences of a passage and how well they match."""

    passage: Passage
    text: str
    fit: float
    """0 to 1."""


class PassageIndex:
    """The documents of a persona in one language. Thread-safe because it is immutable."""

    def __init__(
        self,
        passages: Sequence[Passage],
        language: str,
        phrases: Phrasebook,
        embedder: TextEmbedder | None,
    ) -> None:
        self._phrases = phrases
        self._passages = [passage for passage in passages if passage.language == language]
        texts = [f"{passage.heading}. {passage.text}" for passage in self._passages]
        self._index = HybridIndex(texts, embedder)
        self._uses_vectors = embedder is not None
        self._passages_with = Counter(word for text in texts for word in set(tokens(text)))

    def find(self, question: str) -> list[Found]:
        """Returns the passages that match a question, best first, cut to their best sentences."""
        cleaned = self._phrases.clean(question)
        asked = frozenset(tokens(cleaned))
        if asked <= FUNCTION_WORDS:
            return []
        found = [
            self._cut(self._passages[hit.index], asked, hit.vector_score)
            for hit in self._index.search(cleaned, _CANDIDATES)
        ]
        return sorted(found, key=lambda one: -one.fit)

    def _cut(self, passage: Passage, asked: frozenset[str], vector_score: float) -> Found:
        parts = sentences(passage.text)
        covered = [self._covered(asked, f"{passage.heading}. {part}") for part in parts]
        best = max(range(len(parts)), key=lambda index: covered[index])
        text = "".join(parts[best : best + _MAX_SENTENCES]).strip()
        fit = 0.5 * (covered[best] + vector_score) if self._uses_vectors else covered[best]
        return Found(passage=passage, text=text, fit=min(fit, 1.0))

    def _covered(self, asked: frozenset[str], text: str) -> float:
        shared = asked & set(tokens(text))
        return sum(map(self._weight, shared)) / sum(map(self._weight, asked))

    def _weight(self, word: str) -> float:
        count = self._passages_with[word]
        rarity = math.log1p((len(self._passages) - count + 0.5) / (count + 0.5))
        return rarity * (0.3 if word in FUNCTION_WORDS else 1.0)
