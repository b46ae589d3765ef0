"""Dots that belong to a word."""

import pytest

from text.abbreviations import ends_in_abbreviation, surely_ends_in_abbreviation


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
