"""Hidden characters are removed from texts; what people write stays as it is."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from text.cleaning import clean_line, clean_text, is_clean_line

ANYTHING = st.text(st.characters(), max_size=200)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\r\nb\rc\u2028d\u0085e", "a\nb\nc\nd\ne"),
        ("a\0b\x1b[31mc\x7fd\x9be", "ab[31mcde"),
        ("\u202etxt.exe\u202c", "txt.exe"),
        ("\u2066a\u2069\ufeff", "a"),
        ("half \ud83d pair", "half  pair"),
        ("no\U000e0041\U000e0042tags", "notags"),
        ("tab\tand\nline", "tab\tand\nline"),
    ],
)
def test_what_is_removed(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "泳池九点开门。",
        "👨\u200d👩\u200d👧",
        "می\u200cخواهم",
        "e\u0301",
        "שלום\u200f!",
        "a\u00a0b",
        "ﬁ",
    ],
)
def test_what_stays(text: str) -> None:
    assert clean_text(text) == text
    assert is_clean_line(text)


def test_a_line_is_one_line() -> None:
    assert clean_line("  x\r\ny:\tz \u202e.txt ") == "x y: z .txt"
    assert not is_clean_line("x\ny")
    assert not is_clean_line("a\u202eb")


@given(ANYTHING)
def test_no_text_has_hidden_characters_afterwards(text: str) -> None:
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned
    cleaned.encode("utf-8")
    assert all(unicodedata.category(one) not in ("Cc", "Cs") or one in "\t\n" for one in cleaned)
    assert is_clean_line(clean_line(text))
