"""The marks, brackets and emoji that the segmenter knows."""

from __future__ import annotations

SENTENCE_MARKS = frozenset(".!?。！？…．")
CLAUSE_MARKS = frozenset(",;:，、；：—")
# No following character can belong to one of these, so they need no look-ahead.
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


def is_emoji_part(character: str) -> bool:
    """Returns whether a character may be part of an emoji: picture, flag, tone, joiner, keycap."""
    code = ord(character)
    return (
        0x1F000 <= code <= 0x1FAFF
        or 0x2600 <= code <= 0x27BF
        or 0x2B00 <= code <= 0x2BFF
        or 0xE0020 <= code <= 0xE007F
        or code in (0x200D, 0xFE0F, 0xFE0E, 0x20E3)
    )


def is_list_number(text: str) -> bool:
    """Returns whether a text is only the number of a list item, such as "2."."""
    return text[:-1].strip().isdigit()
