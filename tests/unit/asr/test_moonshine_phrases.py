"""Likely phrases, spellings and times of words, with a random model in Moonshine's format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.asr.engines.moonshine.hot_words import HotWords
from services.asr.engines.moonshine.model import VOCABULARY_FILE, MoonshineModel
from services.asr.engines.moonshine.tokenizer import Vocabulary
from services.asr.engines.moonshine.word_times import spans
from services.asr.engines.moonshine.writer import Line
from tests.unit.asr.test_moonshine import RATE_HZ, entry, loud, never, noise, vocabulary_of
from tests.unit.asr.tiny_moonshine import WORDS, make_tiny_moonshine

SEEDS = range(8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moonshine")
    make_tiny_moonshine(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> MoonshineModel:
    return MoonshineModel(folder)


@pytest.fixture(scope="module")
def vocabulary(folder: Path) -> Vocabulary:
    return Vocabulary(folder / VOCABULARY_FILE)


def likely(vocabulary: Vocabulary, *phrases: str) -> HotWords:
    spelt = [[WORDS.index(f"▁{word}".encode()) for word in each.split()] for each in phrases]
    return HotWords(spelt, vocabulary)


def said(model: MoonshineModel, seed: int, hot_words: HotWords | None = None) -> str:
    decoded = model.decode(noise(seed), never, hot_words)
    assert decoded is not None
    return decoded.text


def test_phrases_are_spelt_in_the_order_in_which_pairs_were_joined(tmp_path: Path) -> None:
    letters = [bytes([byte]) for byte in range(256)]
    merged = [
        *(b"an", "▁b".encode(), b"ana", b"nan", "▁ban".encode()),
        *("▁".encode(), b"b", b"n", "ü".encode()),
    ]
    entries = [b"<unk>", b"<s>", b"</s>", *letters, *merged]
    vocabulary = vocabulary_of(tmp_path, b"".join(map(entry, entries)))
    assert [entries[one] for one in vocabulary.ids("banana")] == ["▁ban".encode(), b"ana"]
    phrase = vocabulary.ids("  ban é ü  banana ")
    assert vocabulary.text(phrase) == "ban é ü banana"
    assert [word.text for word in vocabulary.words(phrase)] == ["ban", "é", "ü", "banana"]
    assert [entries[one] for one in vocabulary.ids("bn")][1:] == [b"n"]
    assert vocabulary.ids("bn")[1] > 258


def test_a_phrase_that_cannot_be_spelt_is_left_out(model: MoonshineModel) -> None:
    assert model.hot_words([]) is None
    assert model.hot_words(["eleven"]) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_text_changes_only_for_a_likely_phrase(
    model: MoonshineModel, vocabulary: Vocabulary, seed: int
) -> None:
    plain = said(model, seed)
    for word in (each.decode().removeprefix("▁") for each in WORDS[3:]):
        found = said(model, seed, likely(vocabulary, word))
        assert found == plain or word in found.split()


def test_a_likely_phrase_wins_where_the_audio_supports_it_almost_as_well(
    model: MoonshineModel, vocabulary: Vocabulary
) -> None:
    words = [each.decode().removeprefix("▁") for each in WORDS[3:]]
    phrases = [f"{one} {other}" for one in words for other in words]
    changed = {
        (seed, phrase)
        for seed in SEEDS
        for phrase in phrases
        if said(model, seed, likely(vocabulary, phrase)) != said(model, seed)
    }
    assert changed
    assert len(changed) < len(phrases) * len(SEEDS) / 2
    assert all(phrase in said(model, seed, likely(vocabulary, phrase)) for seed, phrase in changed)


def test_a_word_that_differs_only_by_its_case_is_no_name(tmp_path: Path) -> None:
    entries = [b"<unk>", b"<s>", b"</s>", *(f"▁{word}".encode() for word in ("I", "will", "Will"))]
    vocabulary = vocabulary_of(tmp_path, b"".join(map(entry, entries)))
    hot_words = HotWords([[5]], vocabulary)
    assert hot_words._is_said_already(Line(ids=[3, 4, 2]), [5])
    assert not hot_words._is_said_already(Line(ids=[3, 2]), [5])


def test_work_on_phrases_is_bounded_and_asks_whether_to_stop(
    model: MoonshineModel, vocabulary: Vocabulary
) -> None:
    hot_words = likely(vocabulary, *(each.decode().removeprefix("▁") for each in WORDS[3:]))
    asked = 0

    def counted() -> bool:
        nonlocal asked
        asked += 1
        return False

    for seed in SEEDS:
        assert model.decode(noise(seed), counted) is not None
    alone, asked = asked, 0
    for seed in SEEDS:
        assert model.decode(noise(seed), counted, hot_words) is not None
    assert alone < asked <= alone * 8


def test_times_of_words_share_the_sound() -> None:
    second = RATE_HZ
    samples = np.concatenate([loud(1.0) // 1000, loud(1.0), loud(0.5) // 1000, loud(1.0)])
    found = spans(["Abcdefghi", "abcdefghi"], samples)
    assert found == [(second, 2 * second), (5 * second // 2, 7 * second // 2)]
    assert spans([], samples) == []
    assert spans(["silence"], np.zeros(second, np.int16)) == [(0, second)]
    assert spans(["a", "b"], np.zeros(0, np.int16)) == [(0, 0), (0, 0)]
    many = spans(["word"] * 500, samples)
    assert all(0 <= start <= end <= len(samples) for start, end in many)
    assert many == sorted(many)
