import string
from concurrent.futures import ThreadPoolExecutor

import pytest
import snowballstemmer
from hypothesis import given
from hypothesis import strategies as st

from retrieval.tokeniser import tokens
from text.normal import normalised


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The runner was running", ["the", "runner", "was", "run"]),
        ("Anna’s café", ["anna", "cafe"]),
        ("It costs 3.14, or 2,000.", ["it", "cost", "3.14", "or", "2000"]),
        ("GPT-4o on the H264", ["gpt", "4o", "on", "the", "h264"]),
        ("ＡＢＣ①", ["abc1"]),
        ("北京市", ["北", "京", "市", "北京", "京市"]),
        ("我住在 Berlin", ["我", "住", "在", "我住", "住在", "berlin"]),
        ("がく", ["が", "く", "がく"]),
        ("한국", ["한", "국", "한국"]),
        ("Привет мир", ["привет", "мир"]),
        ("", []),
        ("  \n\t—!?。，", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_a_giant_word_is_cut() -> None:
    assert [len(token) for token in tokens("x" * 8000)] == [64]


@given(st.text())
def test_any_text_has_tokens_that_are_normal(text: str) -> None:
    for token in tokens(text):
        assert token
        assert token == normalised(token)


def test_threads_do_not_disturb_the_stemmer() -> None:
    words = [f"{a}{b}ing" for a in string.ascii_lowercase for b in string.ascii_lowercase]
    expected = [[stem] for stem in snowballstemmer.stemmer("english").stemWords(words)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tokens, words)) == expected
