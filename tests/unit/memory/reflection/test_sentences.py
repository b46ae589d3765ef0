"""The most central sentences of a talk, each said once."""

from dataclasses import replace

import numpy as np
import pytest

from memory.reflection.sentences import by_sentences, central
from tests.unit.memory.items import WordEmbedder
from tests.unit.memory.reflection.talks import CELLO, GARDEN, MAY_3, talk


def test_the_nearest_to_the_centre_come_and_none_twice() -> None:
    vectors = np.array([[1, 0], [1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    weights = np.ones(4, dtype=np.float32)
    assert central(vectors, weights) == [2, 0, 3]  # 1 says what 0 says
    assert central(vectors[:1], weights[:1]) == [0]
    assert central(np.zeros((2, 3), dtype=np.float32), weights[:2])[0] == 0
    weights[2] = 0.1
    assert central(vectors, weights)[0] == 0


@pytest.mark.parametrize("with_vectors", [True, False])
def test_what_the_person_told_is_kept_with_its_day(with_vectors: bool) -> None:
    embed = WordEmbedder().embed if with_vectors else None
    condensed = by_sentences(talk("g", GARDEN, day=MAY_3, session="s"), embed)
    head, _, text = condensed.text.partition(": ")
    assert head == "On 3 May 2026"
    assert "tomatoes" in text
    assert "Hello" not in text  # says nothing
    assert "need sun" not in text  # the person did not say it
    assert condensed.in_words_of_the_person
    positions = [text.find(said) for said in GARDEN if said in text]
    assert 1 <= len(positions) <= 3
    assert positions == sorted(positions)


def test_chinese_is_condensed_in_chinese() -> None:
    condensed = by_sentences(talk("c", CELLO, day=MAY_3, session="s"), None)
    assert condensed.text.startswith("2026年5月3日：")
    assert "大提琴" in condensed.text
    assert "听起来不错" not in condensed.text


def test_japanese_is_not_condensed_in_chinese() -> None:
    said = ("私は東京都で働いています。", "毎朝六時に起きて公園を走ります。")
    condensed = by_sentences(talk("j", said, day=MAY_3, session="s"), None)
    assert condensed.text.startswith("On 3 May 2026: ")


def test_sentences_and_names_are_told_apart() -> None:
    turns = talk(
        "x", ("It costs 3.14 euros. I paid for it twice!", "Fine by me."), day=1, session=""
    )
    named = [replace(turns[0], speaker_name="Anna"), replace(turns[1], speaker_name="Ben")]
    text = by_sentences(named, None).text
    assert text.startswith("On 2 January 1970: Anna: ")
    assert "Anna: It costs 3.14 euros." in text
    assert "Anna: I paid for it twice!" in text


@pytest.mark.parametrize("said", [("...",), ("?", "!", "😀"), ("hm " * 3_000,), ("哈" * 8_000,)])
def test_anything_is_condensed_within_bounds(said: tuple[str, ...]) -> None:
    condensed = by_sentences(talk("x", said, day=MAY_3, session=""), None)
    assert 10 < len(condensed.text) < 800


def test_answers_alone_are_condensed_but_not_as_words_of_the_person() -> None:
    condensed = by_sentences(
        talk("a", ("A:Tomatoes need sun and water.",), day=1, session=""), None
    )
    assert "Tomatoes need sun" in condensed.text
    assert not condensed.in_words_of_the_person


def test_a_very_long_talk_is_sampled() -> None:
    asked: list[int] = []

    def embed(texts: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        assert isinstance(texts, list)
        asked.append(len(texts))
        return WordEmbedder().embed(texts)

    said = tuple(f"Number {n} of the things that I told you." for n in range(500))
    by_sentences(talk("x", said, day=1, session=""), embed)
    assert 60 < asked[0] <= 120
