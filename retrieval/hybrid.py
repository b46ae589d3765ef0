"""Finds texts by meaning and by words at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.lexical import LexicalIndex

LEXICAL_WEIGHT = 0.6
"""The part of the lexical score in the score of a hit."""


class TextEmbedder(Protocol):
    """What turns texts into vectors."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives a vector of length 1 for each text, shape [texts, dimensions]."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A text that was found."""

    index: int
    """The position of the text in what was indexed."""
    score: float
    """How well it fits, 0 to 1."""
    vector_score: float
    """Its part by meaning: the cosine, at least 0; 0 without an embedder."""
    lexical_score: float
    """Its part by words, 0 to 1."""


def blend(
    vector_scores: NDArray[np.float32] | None, lexical_scores: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Joins both scores of each text, or takes the lexical score alone without vectors.

    On long conversations a weighted mean finds more than either score alone, and more than
    reciprocal rank fusion, which lets the weaker ranking pull the better one down. Words weigh more
    because their scores are spread lower than cosines.

    Args:
        vector_scores: Cosines, shape [texts], or None.
        lexical_scores: Shape [texts], 0 to 1.

    Returns:
        Shape [texts], 0 to 1.
    """
    if vector_scores is None:
        return lexical_scores
    meaning = np.float32(1 - LEXICAL_WEIGHT) * np.clip(vector_scores, 0, 1)
    return meaning + np.float32(LEXICAL_WEIGHT) * lexical_scores


def best_first(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Gives the positions of the k best scores, best first; of equal ones the earlier first."""
    if not 0 < k < len(scores):
        return np.argsort(-scores, kind="stable")[: max(k, 0)]
    # Only what is at least as good as the k-th is sorted: for ten thousand a tenth of the time.
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    candidates = np.flatnonzero(scores >= least)
    return candidates[np.argsort(-scores[candidates], kind="stable")[:k]]


class HybridIndex:
    """Searches a fixed list of texts by vector and words. Safe for threads: it never changes."""

    def __init__(self, texts: Sequence[str], embedder: TextEmbedder | None) -> None:
        """Indexes the texts.

        Args:
            texts: What can be found; may be empty.
            embedder: Gives the vectors; None: search by words alone.
        """
        self._lexical = LexicalIndex(texts)
        self._embedder = embedder
        self._vectors = embedder.embed(texts) if embedder is not None and texts else None

    def __len__(self) -> int:
        """The number of texts."""
        return len(self._lexical)

    def search(self, query: str, k: int) -> list[Hit]:
        """Finds the texts that fit best.

        Args:
            query: What to look for.
            k: The most hits.

        Returns:
            At most k hits with a score above 0, best first.
        """
        lexical = self._lexical.scores(query)
        vector: NDArray[np.float32] | None = None
        if self._embedder is not None and self._vectors is not None:
            vector = self._vectors @ self._embedder.embed([query])[0]
        scores = blend(vector, lexical)
        return [
            Hit(
                index=int(position),
                score=float(scores[position]),
                vector_score=0.0 if vector is None else min(1.0, max(0.0, float(vector[position]))),
                lexical_score=float(lexical[position]),
            )
            for position in best_first(scores, k)
            if scores[position] > 0
        ]
