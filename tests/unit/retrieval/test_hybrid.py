from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.hybrid import LEXICAL_WEIGHT, HybridIndex, best_first, blend

TEXTS = ["the cat sat", "a dog barked", "the cat barked"]


class LetterEmbedder:
    """Embeds a text as the counts of its letters."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        counts = [[text.count(chr(97 + n)) + 1e-6 for n in range(26)] for text in texts]
        vectors = np.asarray(counts, dtype=np.float32)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def test_a_hit_carries_both_parts_of_its_score() -> None:
    hits = HybridIndex(TEXTS, LetterEmbedder()).search("the cat sat", 3)
    assert hits[0].index == 0
    assert hits[0].score == pytest.approx(1, abs=1e-5)
    for hit in hits:
        parts = (1 - LEXICAL_WEIGHT) * hit.vector_score + LEXICAL_WEIGHT * hit.lexical_score
        assert hit.score == pytest.approx(parts, abs=1e-6)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_without_an_embedder_words_alone_count() -> None:
    hits = HybridIndex(TEXTS, None).search("barking dogs", 5)
    assert [hit.index for hit in hits] == [1, 2]
    assert hits[0].vector_score == 0
    assert hits[0].score == hits[0].lexical_score


def test_nothing_is_found_in_nothing() -> None:
    assert HybridIndex([], LetterEmbedder()).search("cat", 3) == []
    assert HybridIndex(TEXTS, None).search("zebra", 3) == []
    assert len(HybridIndex([], None)) == 0
    assert HybridIndex(TEXTS, None).search("cat", 0) == []


def test_equal_scores_keep_the_order_and_negative_cosines_count_as_none() -> None:
    assert best_first(np.array([0.5, 1, 0.5, 1], np.float32), 3).tolist() == [1, 3, 0]
    joined = blend(np.array([-1, 1], np.float32), np.array([0.5, 0.5], np.float32))
    assert joined.tolist() == pytest.approx([0.3, 0.7])


def test_threads_find_the_same() -> None:
    index = HybridIndex(TEXTS, LetterEmbedder())
    expected = index.search("cat", 3)
    with ThreadPoolExecutor(4) as pool:
        assert all(
            hits == expected for hits in pool.map(lambda _: index.search("cat", 3), range(50))
        )


@given(
    scores=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=30),
    k=st.integers(min_value=0, max_value=35),
)
def test_the_best_are_the_first_of_all_sorted(scores: list[float], k: int) -> None:
    array = np.array(scores, dtype=np.float32)
    plain = sorted(range(len(scores)), key=lambda position: -scores[position])[:k]
    assert best_first(array, k).tolist() == plain
