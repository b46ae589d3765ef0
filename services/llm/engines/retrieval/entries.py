"""Finds the entry of a corpus that answers a question, and says how well it fits."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from retrieval.hybrid import HybridIndex, TextEmbedder
from retrieval.text import FUNCTION_WORDS, tokens
from services.llm.corpus import Entry
from services.llm.engines.retrieval.phrasebook import Phrasebook

_CANDIDATES: Final = 48
_FUNCTION_WORD_WEIGHT: Final = 0.4
_VECTOR_SHARE: Final = 0.55
# How much of the score of words the whole entry has beside the phrasing.
_ENTRY_SHARE: Final = 0.25
# A misheard word counts as the known word that is spelled like it, but for less.
_MISHEARD_CUTOFF: Final = 0.84
_MISHEARD_MIN_CHARS: Final = 5
_MISHEARD_CREDIT: Final = 0.75


@dataclass(frozen=True, kw_only=True)
class Match:
    """An entry and how well one of its questions fits."""

    entry: Entry
    question: str
    fit: float
    """0 to 1. Means the same for every question, so that a threshold can be set on it."""


class EntryIndex:
    """The entries of a persona in one language. Safe for threads: it never changes.

    The fit of a question to a phrasing blends the cosine of their vectors with a score of words:
    the harmonic mean of how much of each is found in the other, and how much of the question is
    found anywhere in the entry. Words are weighted by how rare they are in the corpus, so that
    "What is the capital of France?" does not fit "What is Anima?"; the vectors let "Do you need
    the internet?" fit "Do you work offline?".
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        language: str,
        phrases: Phrasebook,
        embedder: TextEmbedder | None,
    ) -> None:
        self._phrases = phrases
        self._rows = [
            (entry, question, frozenset(self._tokens(question)))
            for entry in entries
            if language in entry.wordings
            for question in entry.wordings[language].questions
        ]
        texts = [phrases.clean(question) for _, question, _ in self._rows]
        self._index = HybridIndex(texts, embedder)
        self._uses_vectors = embedder is not None
        self._entry_words: dict[str, set[str]] = {}
        for entry, _, words in self._rows:
            self._entry_words.setdefault(entry.id, set()).update(words)
        for entry in entries:
            if language in entry.wordings:
                said = (*entry.wordings[language].answers, entry.wordings[language].more)
                self._entry_words[entry.id].update(*map(self._tokens, said))
        self._entries_with = Counter(word for words in self._entry_words.values() for word in words)
        self._spellings = [word for word in self._entries_with if len(word) >= _MISHEARD_MIN_CHARS]
        self._known_like = lru_cache(maxsize=4_096)(self._find_known_like)

    def find(self, question: str) -> list[Match]:
        """The entries that fit a question, each once, best first."""
        cleaned = self._phrases.clean(question)
        words = self._heard(self._phrases.compared(cleaned) or cleaned)
        if not words:
            return []
        best: dict[str, Match] = {}
        for hit in self._index.search(cleaned, _CANDIDATES):
            entry, phrasing, known = self._rows[hit.index]
            fit = (1 - _ENTRY_SHARE) * self._overlap(words, known)
            fit += _ENTRY_SHARE * self._covered(words, self._entry_words[entry.id])
            if self._uses_vectors:
                fit = (1 - _VECTOR_SHARE) * fit + _VECTOR_SHARE * hit.vector_score
            if entry.id not in best or best[entry.id].fit < fit:
                best[entry.id] = Match(entry=entry, question=phrasing, fit=min(fit, 1.0))
        return sorted(best.values(), key=lambda match: -match.fit)

    def _heard(self, cleaned: str) -> dict[str, float]:
        """The words of a question, each with how sure it is that it was said."""
        heard: dict[str, float] = {}
        for word in Counter(tokens(cleaned)):
            known = word if word in self._entries_with else self._known_like(word)
            credit = 1.0 if known == word else _MISHEARD_CREDIT
            heard[known] = max(credit, heard.get(known, 0.0))
        return heard

    def _find_known_like(self, word: str) -> str:
        if len(word) < _MISHEARD_MIN_CHARS or not word.isascii():
            return word
        found = difflib.get_close_matches(word, self._spellings, 1, _MISHEARD_CUTOFF)
        return found[0] if found else word

    def _overlap(self, heard: dict[str, float], known: frozenset[str]) -> float:
        shared = sum(self._weight(word) * heard[word] for word in heard.keys() & known)
        if not shared:
            return 0.0
        total = sum(map(self._weight, heard)) + sum(map(self._weight, known))
        return 2 * shared / total

    def _covered(self, heard: dict[str, float], known: set[str]) -> float:
        total = sum(map(self._weight, heard))
        shared = sum(self._weight(word) * heard[word] for word in heard.keys() & known)
        return shared / total if total else 0.0

    def _tokens(self, text: str) -> list[str]:
        return tokens(self._phrases.compared(self._phrases.clean(text)))

    def _weight(self, word: str) -> float:
        count = self._entries_with.get(word, 0)
        rarity = math.log1p((len(self._entry_words) - count + 0.5) / (count + 0.5))
        return rarity * (_FUNCTION_WORD_WEIGHT if word in FUNCTION_WORDS else 1.0)
