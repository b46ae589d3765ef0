"""Finds the entry of a corpus that answers a question, with its score."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrieval.hybrid import TextEmbedder, best_first, blend
from retrieval.lexical import LexicalIndex
from retrieval.tokeniser import FUNCTION_WORDS, tokens
from services.llm.engines.retrieval.matching.tuning import Tuning
from services.llm.engines.retrieval.phrasebook import Phrasebook
from services.llm.persona.corpus import Entry

_CANDIDATES: Final = 48
_FUNCTION_WORD_WEIGHT: Final = 0.4
# Part of the word score that counts words anywhere in the entry.
_ANYWHERE_SHARE: Final = 0.25
# A misheard word counts as the known word with similar spelling, at a lower weight.
_MISHEARD_CUTOFF: Final = 0.84
_MISHEARD_MIN_CHARS: Final = 5
_MISHEARD_CREDIT: Final = 0.75


@dataclass(frozen=True, kw_only=True)
class Match:
    """An entry and how well one of its questions matches."""

    entry: Entry
    question: str
    fit: float
    """0 to 1, comparable between questions, so that it can be used with a threshold."""


class EntryIndex:
    """The entries of a persona in one language. Thread-safe because it is immutable.

    The fit blends three scores. Words: the harmonic mean of how much of question and phrasing is
    found in the other, and how much of the question is found anywhere in the entry. Words are
    weighted by their rarity in the corpus, so that "What is the capital of France?" does not
    match "What is Anima?". Meaning: the cosine with the phrasing, so that "Do you need the
    internet?" matches "Do you work offline?". Meaning of the entry: the cosine with the mean of all
    phrasings and the answer, which rules out entries that only happen to resemble one phrasing.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        language: str,
        phrases: Phrasebook,
        embedder: TextEmbedder | None,
        tuning: Tuning,
    ) -> None:
        self._phrases = phrases
        self._tuning = tuning
        self._rows = [
            (entry, question, frozenset(self._tokens(question)))
            for entry in entries
            if language in entry.wordings
            for question in entry.wordings[language].questions
        ]
        texts = [phrases.clean(question) for _, question, _ in self._rows]
        self._lexical = LexicalIndex(texts)
        self._embedder = embedder if texts else None
        if self._embedder is not None:
            self._vectors = self._embedder.embed(texts)
            self._wholes = self._whole_vectors(self._embedder, language)
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
        """Returns the entries that match a question, each once, best first."""
        cleaned = self._phrases.clean(question)
        words = self._heard(self._phrases.compared(cleaned) or cleaned)
        if not words:
            return []
        tuning = self._tuning
        phrasing_scores = whole_scores = None
        if self._embedder is not None:
            vector = self._embedder.embed([cleaned])[0]
            phrasing_scores, whole_scores = self._vectors @ vector, self._wholes @ vector
        candidates = blend(phrasing_scores, self._lexical.scores(cleaned))
        best: dict[str, Match] = {}
        for position in best_first(candidates, _CANDIDATES):
            entry, phrasing, known = self._rows[position]
            fit = (1 - _ANYWHERE_SHARE) * self._overlap(words, known)
            fit += _ANYWHERE_SHARE * self._covered(words, self._entry_words[entry.id])
            if phrasing_scores is not None and whole_scores is not None:
                fit *= 1 - tuning.phrasing_share - tuning.whole_share
                fit += tuning.phrasing_share * float(phrasing_scores[position])
                fit += tuning.whole_share * float(whole_scores[position])
            if fit > 0 and (entry.id not in best or best[entry.id].fit < fit):
                best[entry.id] = Match(entry=entry, question=phrasing, fit=min(fit, 1.0))
        return sorted(best.values(), key=lambda match: -match.fit)

    def _whole_vectors(self, embedder: TextEmbedder, language: str) -> NDArray[np.float32]:
        """Returns for each row the vector of its entry: phrasings and answer in equal parts."""
        rows_of: dict[str, list[int]] = {}
        for position, (entry, _, _) in enumerate(self._rows):
            rows_of.setdefault(entry.id, []).append(position)
        first = [self._rows[positions[0]][0].wordings[language] for positions in rows_of.values()]
        answers = embedder.embed([f"{one.questions[0]} {one.answers[0]}" for one in first])
        wholes = np.empty_like(self._vectors)
        for answer, positions in zip(answers, rows_of.values(), strict=True):
            phrasings = self._vectors[positions].mean(axis=0)
            whole = phrasings / np.linalg.norm(phrasings) + answer
            wholes[positions] = whole / np.linalg.norm(whole)
        return wholes

    def _heard(self, cleaned: str) -> dict[str, float]:
        """Returns the words of a question, each with the confidence that it was said."""
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
