"""Finds texts by their words: BM25 with scores that are comparable between queries."""

from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.tokeniser import FUNCTION_WORDS, tokens

_K1 = 1.2
_B = 0.75
# How many imaginary texts without any of the words are added to the real ones. Without them a word
# in the only text of a new memory would be worth a fifth of a word in no text; among thousands of
# texts they no longer matter.
_BACKGROUND_TEXTS = 50
# The weight of a function word relative to another word of the same rarity: a small collection
# cannot know that "my" is common.
_FUNCTION_WORD_WEIGHT = 0.2


class LexicalIndex:
    """BM25 (Robertson and Zaragoza, 2009; k1 1.2, b 0.75) over texts that are added one by one.

    Scores are between 0 and 1: the BM25 score divided by the score of the query as a text. So 1
    means that a text matches as well as the query's own words, and a threshold means the same for
    every query. Not thread-safe: protect a shared index with a lock.
    """

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._postings: dict[str, tuple[array[int], array[int]]] = {}
        self._lengths = array("I")
        self._total_length = 0
        for text in texts:
            self.add(text)

    def __len__(self) -> int:
        """The number of texts."""
        return len(self._lengths)

    def add(self, text: str) -> None:
        """Adds a text; its position is the number of texts before it."""
        position = len(self._lengths)
        counts = Counter(tokens(text))
        for token, count in counts.items():
            postings = self._postings.get(token)
            if postings is None:
                postings = self._postings[token] = (array("I"), array("I"))
            postings[0].append(position)
            postings[1].append(count)
        length = counts.total()
        self._lengths.append(length)
        self._total_length += length

    def scores(self, query: str) -> NDArray[np.float32]:
        """Scores every text.

        Args:
            query: The text to search for.

        Returns:
            Shape [texts], 0 to 1; 0 where a text shares no token with the query.
        """
        lengths = np.frombuffer(self._lengths, dtype=np.uint32)
        return self._scores(Counter(tokens(query)), lengths, None)

    def scores_with_groups(
        self, query: str, group_of: NDArray[np.int32], group_count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores every text, and groups of texts as if each were one long text.

        Args:
            query: The text to search for.
            group_of: The group of each text, shape [texts], from 0.
            group_count: How many groups there are.

        Returns:
            Shapes [texts] and [groups], 0 to 1.
        """
        counts = Counter(tokens(query))
        lengths = np.frombuffer(self._lengths, dtype=np.uint32)
        group_lengths = np.bincount(group_of, weights=lengths, minlength=group_count)
        return (
            self._scores(counts, lengths, None),
            self._scores(counts, group_lengths, group_of),
        )

    @property
    def lengths(self) -> NDArray[np.uint32]:
        """The number of tokens of each text, shape [texts]."""
        return np.array(self._lengths, dtype=np.uint32)

    def _scores(
        self,
        query_counts: Counter[str],
        lengths: NDArray[Any],
        group_of: NDArray[np.int32] | None,
    ) -> NDArray[np.float32]:
        count = len(lengths)
        scores = np.zeros(count, dtype=np.float32)
        if not query_counts or not self._total_length:
            return scores
        mean_length = self._total_length / count
        saturation = lengths.astype(np.float32) * np.float32(_K1 * _B / mean_length)
        saturation += np.float32(_K1 * (1 - _B))
        own_saturation = _K1 * (1 - _B + _B / mean_length * query_counts.total())
        best = 0.0
        for token, query_count in query_counts.items():
            positions, frequencies = self._occurrences(token, group_of, count)
            weight = _weight(token, len(positions), count)
            best += weight * query_count / (query_count + own_saturation)
            scores[positions] += weight * frequencies / (frequencies + saturation[positions])
        scores /= np.float32(best)
        return np.minimum(scores, 1, out=scores)

    def _occurrences(
        self, token: str, group_of: NDArray[np.int32] | None, count: int
    ) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Returns the texts, or groups, that contain a token, and how often."""
        postings = self._postings.get(token)
        if postings is None:
            return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.float32)
        positions = np.frombuffer(postings[0], dtype=np.uint32)
        frequencies = np.frombuffer(postings[1], dtype=np.uint32).astype(np.float32)
        if group_of is None:
            return positions, frequencies
        in_groups = np.bincount(group_of[positions], weights=frequencies, minlength=count)
        groups = np.flatnonzero(in_groups)
        return groups, in_groups[groups].astype(np.float32)

    @property
    def size_bytes(self) -> int:
        """The approximate memory of the index, bytes."""
        # A key with its two arrays takes about 400 bytes; a posting takes two numbers.
        return 400 * len(self._postings) + 8 * self._total_length + 4 * len(self._lengths)


def _weight(token: str, texts_with_token: int, text_count: int) -> float:
    texts = text_count + _BACKGROUND_TEXTS
    rarity = float(np.log1p((texts - texts_with_token + 0.5) / (texts_with_token + 0.5)))
    return rarity * (_FUNCTION_WORD_WEIGHT if token in FUNCTION_WORDS else 1.0)
