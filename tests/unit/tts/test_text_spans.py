from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tts.text_spans import (
    CaptionWords,
    ending,
    has_speech,
    phrases,
    speakable,
)


@given(st.text(max_size=300))
def test_cleaning_moves_nothing_and_leaves_no_controls(text: str) -> None:
    cleaned = speakable(text)
    assert len(cleaned) == len(text)
    assert not any(ord(character) < 32 for character in cleaned)
    assert speakable(cleaned) == cleaned


@pytest.mark.parametrize("text", ["...", "😀👍🏽❤️", " \t\n", "—", "\u200b", "“ ”"])
def test_punctuation_and_pictures_are_not_speech(text: str) -> None:
    assert not has_speech(speakable(text))


@pytest.mark.parametrize("text", ["a", "7", "你", "%", "20°", "½"])
def test_letters_digits_and_spoken_symbols_are(text: str) -> None:
    assert has_speech(speakable(text))


@given(st.text(alphabet="ab .,。，你1\n", max_size=900))
def test_phrases_cover_the_text(text: str) -> None:
    spans = phrases(text)
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(0 < end - start <= 200 for start, end in spans)


def test_an_ordinary_clause_is_one_phrase() -> None:
    assert phrases("I think, therefore I am, he said.") == [(0, 33)]


def test_a_phrase_ends_where_a_sentence_does_and_never_in_a_number() -> None:
    sentence = "The first sentence of the two is long enough to stand alone: it says 3.14 and more."
    text = f"{sentence} {sentence}"
    assert [text[start:end].strip() for start, end in phrases(text)] == [sentence, sentence]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Yes.", "sentence"),
        ("他说：“好。”", "sentence"),
        ("Really?!) ", "sentence"),
        ("well, ", "clause"),
        ("但是，", "clause"),
        ("and then", ""),
        ("", ""),
    ],
)
def test_the_ending_decides_the_pause(text: str, kind: str) -> None:
    assert ending(text) == kind


def spans_of(text: str) -> list[str]:
    words = CaptionWords(text)
    return [text[slice(*words.span(index, index + 1))] for index in range(len(words))]


def test_words_of_captions() -> None:
    assert spans_of("“Don’t” pay $5.50 (50%), e.g. at www.a.com…") == [
        "Don’t", "pay", "$5.50", "50%", "e.g", "at", "www.a.com",
    ]  # fmt: skip
    assert spans_of("我用Python写，3.5小时。") == ["我", "用", "Python", "写", "3.5", "小", "时"]


def test_a_word_reaches_to_the_next_one_spoken() -> None:
    text = "I am here."
    words = CaptionWords(text)
    assert (words.index_at(0), words.index_at(3), words.index_at(9)) == (0, 1, 2)
    assert text[slice(*words.span(0, 2))] == "I am"
    assert text[slice(*words.span(2, 3))] == "here"
