import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.model_files import PACKED_FILE
from retrieval.packed_encoder import PackedEncoder, Vocabulary
from retrieval.unigram import Unigram
from tests.unit.retrieval.tiny_packed import PIECES, write_tiny_packed


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    folder = tmp_path_factory.mktemp("packed")
    write_tiny_packed(folder)
    with PackedEncoder(folder / PACKED_FILE) as packed:
        return packed.vocabulary


def pieces(vocabulary: Vocabulary, text: str, max_tokens: int = 256) -> list[str]:
    return [PIECES[number] for number in Unigram(vocabulary, max_tokens=max_tokens).encode(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("query: do cats", "▁query : ▁do ▁cat s"),
        ("  query \t cats\n", "▁query ▁cat s"),
        ("Ａ\u3000猫狗", "▁ a ▁猫 狗"),
        ("ﬁ\x07g", "▁ f i g"),
        ("<pad>a", "▁ <unk> p a d <unk> a"),
        ("ÄÖ!a", "▁ <unk> a"),
    ],
)
def test_texts_are_split_into_their_likeliest_pieces(
    vocabulary: Vocabulary, text: str, expected: str
) -> None:
    assert pieces(vocabulary, text) == ["<s>", *expected.split(), "</s>"]


def test_a_long_text_is_cut(vocabulary: Vocabulary) -> None:
    found = pieces(vocabulary, "cat " * 100, max_tokens=10)
    assert found == ["<s>", *["▁cat"] * 8, "</s>"]
    assert len(pieces(vocabulary, "猫" * 100_000)) == 256


@given(st.text(alphabet="abc", min_size=1, max_size=7), st.integers(0, 10))
def test_no_other_way_to_split_is_likelier(word: str, seed: int) -> None:
    names = ["<s>", "</s>", "<unk>", "\u2581", "\u2581a", "ab", "abc", "bca", "cc", "b", "c"]
    random = np.random.default_rng(seed)
    scores = random.normal(-5, 2, len(names)).astype(np.float32)
    vocabulary = Vocabulary(
        pieces=tuple(names), scores=scores, begin=0, end=1, unknown=2, replacements={}
    )
    unknown_score = float(scores.min()) - 10
    known = dict(zip(names[3:], map(float, scores[3:]), strict=True))
    spaced = f"\u2581{word}"

    def ways() -> list[tuple[float, list[str]]]:
        found = []
        for cuts in itertools.product((False, True), repeat=len(spaced) - 1):
            parts, start = [], 0
            for at, is_cut in enumerate((*cuts, True), 1):
                if is_cut:
                    parts.append(spaced[start:at])
                    start = at
            if all(part in known or len(part) == 1 for part in parts):
                found.append((sum(known.get(part, unknown_score) for part in parts), parts))
        return found

    best, _ = max(ways())
    numbers = Unigram(vocabulary, max_tokens=99).encode(word)[1:-1]
    likeliest = [parts for score, parts in ways() if score == pytest.approx(best)]
    assert numbers in [_numbers(names, parts) for parts in likeliest]


def _numbers(names: list[str], parts: list[str]) -> list[int]:
    numbers = [names.index(part) if part in names else 2 for part in parts]
    # Neighbouring unknown characters are one piece.
    return [n for at, n in enumerate(numbers) if n != 2 or numbers[at - 1 : at] != [2]]
