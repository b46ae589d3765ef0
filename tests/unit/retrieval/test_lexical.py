import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.lexical import LexicalIndex
from retrieval.tokeniser import tokens

TEXTS = [
    "My dog is called Rex and he barks a lot",
    "I work as a nurse at the hospital in Graz",
    "我的生日是五月三号",
    "我住在北京",
]


def test_a_name_finds_its_text() -> None:
    scores = LexicalIndex(TEXTS).scores("What does Rex do?")
    assert scores.argmax() == 0
    assert scores[0] > 3 * scores[1]


@pytest.mark.parametrize(("query", "position"), [("生日", 2), ("你住在哪里", 3), ("北京", 3)])
def test_chinese_words_find_their_text(query: str, position: int) -> None:
    scores = LexicalIndex(TEXTS).scores(query)
    assert scores.argmax() == position


def test_the_text_itself_scores_one_in_a_small_and_a_large_collection() -> None:
    for count in (1, 2000):
        index = LexicalIndex([f"filler number {n} with words" for n in range(count - 1)])
        index.add(TEXTS[1])
        assert index.scores(TEXTS[1])[count - 1] == pytest.approx(1.0, abs=1e-5)


def test_a_missing_word_lowers_the_score_in_a_small_collection_too() -> None:
    index = LexicalIndex(TEXTS)
    assert index.scores("hospital Graz")[1] > index.scores("hospital Vienna")[1] > 0.2


@pytest.mark.parametrize("query", ["", "?!", "zebra"])
def test_a_query_without_a_known_word_scores_nothing(query: str) -> None:
    assert not LexicalIndex(TEXTS).scores(query).any()


def test_empty_collections_have_no_scores() -> None:
    assert LexicalIndex().scores("dog").shape == (0,)
    assert LexicalIndex(["", "!"]).scores("dog").tolist() == [0, 0]


def test_the_order_is_that_of_plain_bm25() -> None:
    words = ["amber", "birch", "cedar", "delta", "ember", "flint", "grove"]
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(words, random.integers(3, 12))) for _ in range(60)]
    documents = [tokens(text) for text in texts]
    mean_length = sum(map(len, documents)) / 60
    plain = np.zeros(60)
    for token in tokens("amber cedar"):
        holding = sum(token in document for document in documents)
        rarity = np.log1p((60 + 50 - holding + 0.5) / (holding + 0.5))
        for position, document in enumerate(documents):
            count = document.count(token)
            length_part = 1.2 * (0.25 + 0.75 * len(document) / mean_length)
            plain[position] += rarity * count / (count + length_part)
    scores = LexicalIndex(texts).scores("amber cedar")
    unclipped = scores < 1
    ratio = scores[unclipped & (plain > 0)] / plain[unclipped & (plain > 0)]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


@given(st.lists(st.text(max_size=40), max_size=8), st.text(max_size=40))
def test_scores_lie_between_zero_and_one(texts: list[str], query: str) -> None:
    scores = LexicalIndex(texts).scores(query)
    assert scores.shape == (len(texts),)
    assert np.all((scores >= 0) & (scores <= 1))


def test_a_group_scores_as_its_texts_in_one() -> None:
    texts = ["the dog barks", "it rains", "a walk with the dog in Graz", "我住在北京", "rain again"]
    group_of = np.array([0, 0, 1, 2, 1], dtype=np.int32)
    joined = LexicalIndex(
        [" ".join(t for t, g in zip(texts, group_of, strict=True) if g == n) for n in range(3)]
    )
    for query in ("Where did I walk the dog?", "北京", "rain", "nothing of this kind"):
        np.testing.assert_allclose(
            LexicalIndex(texts).scores_with_groups(query, group_of, 3)[1],
            joined.scores(query),
            atol=1e-6,
        )
