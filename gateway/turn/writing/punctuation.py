"""What the segmenter must know of characters and words: marks, brackets, emoji, abbreviations."""

from __future__ import annotations

import re

SENTENCE_MARKS = frozenset(".!?。！？…．")
CLAUSE_MARKS = frozenset(",;:，、；：—")
# After these nothing can follow that belongs to them, so that no look-ahead is needed.
PROMPT_MARKS = frozenset("。，、；：")

OPENING = {
    "(": ")",
    "[": "]",
    "{": "}",
    "“": "”",
    "「": "」",
    "『": "』",
    "（": "）",
    "【": "】",
    "《": "》",
    "«": "»",
}
CLOSING = frozenset(OPENING.values()) | {"’"}

_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "rev",
        "hon",
        "gen",
        "col",
        "capt",
        "lt",
        "sgt",
        "st",
        "sr",
        "jr",
        "messrs",
        "mt",
        "ft",
        "e.g",
        "i.e",
        "cf",
        "etc",
        "al",
        "viz",
        "vs",
        "ca",
        "approx",
        "resp",
        "incl",
        "excl",
        "no",
        "nos",
        "vol",
        "vols",
        "pp",
        "fig",
        "figs",
        "eq",
        "sec",
        "ch",
        "art",
        "ed",
        "eds",
        "inc",
        "ltd",
        "co",
        "corp",
        "bros",
        "dept",
        "univ",
        "assn",
        "est",
        "a.m",
        "p.m",
        "ph.d",
        "m.d",
        "b.a",
        "m.a",
        "b.sc",
        "m.sc",
        "d.c",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sept",
        "oct",
        "nov",
        "dec",
        "mon",
        "tue",
        "tues",
        "wed",
        "thu",
        "thur",
        "thurs",
        "fri",
        "sat",
        "sun",
    ]
)
_DOTTED_LETTERS = re.compile(r"(?:[^\W\d_]\.)+")
_OPENERS = "".join(OPENING) + "\"'‘"


def is_emoji_part(character: str) -> bool:
    """Tells whether a character may be part of an emoji: picture, flag, tone, joiner, keycap."""
    code = ord(character)
    return (
        0x1F000 <= code <= 0x1FAFF
        or 0x2600 <= code <= 0x27BF
        or 0x2B00 <= code <= 0x2BFF
        or 0xE0020 <= code <= 0xE007F
        or code in (0x200D, 0xFE0F, 0xFE0E, 0x20E3)
    )


def ends_in_abbreviation(word: str) -> bool:
    """Tells whether the dot at the end of a word belongs to it: "Dr.", "e.g.", "U.S.", "J."."""
    bare = word.lstrip(_OPENERS)
    if _DOTTED_LETTERS.fullmatch(bare):
        return True
    return bare[:-1].lower() in _ABBREVIATIONS


def is_list_number(text: str) -> bool:
    """Tells whether a text is only the number of a list item, such as "2."."""
    return text[:-1].strip().isdigit()
