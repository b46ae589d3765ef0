"""Dots that belong to a word."""

import pytest

from text.abbreviations import (
    ends_in_abbreviation,
    ends_sentence,
    may_go_on_after,
    surely_ends_in_abbreviation,
)


@pytest.mark.parametrize("word", ["Dr.", "dr.", "(e.g.", "U.S.", "J.", "“Mr.", "No.", "Fig.", "é."])
def test_dots_of_abbreviations(word: str) -> None:
    assert ends_in_abbreviation(word)
    assert surely_ends_in_abbreviation(word)


@pytest.mark.parametrize("word", ["no.", "sun.", "fig.", "art."])
def test_words_that_are_abbreviations_elsewhere(word: str) -> None:
    assert ends_in_abbreviation(word)
    assert not surely_ends_in_abbreviation(word)


@pytest.mark.parametrize("word", ["dog.", "3.", "it.", "."])
def test_dots_that_end_a_sentence(word: str) -> None:
    assert not ends_in_abbreviation(word)
    assert not surely_ends_in_abbreviation(word)


@pytest.mark.parametrize(
    ("word", "following"),
    [
        ("no.", "Then"),
        ("sun.", "It"),
        ("noon.", "The"),
        ("art.", "We"),
        ("Jan.", "It"),
        ("Ed.", "He"),
        ("p.m.", "Then"),
        ("etc.", "The"),
        ("Inc.", "They"),
        ("10.", "Then"),
        ("2024.", "It"),
    ],
)
def test_a_capital_or_a_common_word_begins_a_sentence(word: str, following: str) -> None:
    assert ends_sentence(word, following)


@pytest.mark.parametrize(
    ("word", "following"),
    [
        ("Dr.", "He"),
        ("Mr.", "Then"),
        ("No.", "5"),
        ("no.", "5"),
        ("fig.", "3"),
        ("Jan.", "5"),
        ("Ed.", "Miller"),
        ("e.g.", "The"),
        ("J.", "The"),
        ("a.m.", "and"),
        ("10.", "Oktober"),
        ("2024.", "was"),
        ("3.", "März"),
    ],
)
def test_a_sentence_goes_on(word: str, following: str) -> None:
    assert may_go_on_after(word)
    assert not ends_sentence(word, following)
