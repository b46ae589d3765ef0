"""The words in which a text is spoken, by language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from services.tts.reading import chinese, english
from services.tts.reading.english_numbers import NUMBERS
from services.tts.reading.library import changes_of, in_words
from services.tts.reading.rules import Rule, applied
from services.tts.reading.spoken import Spoken
from text.languages import is_chinese_tag, primary

# The library needs more time for a long text than for its parts.
_CLAUSE: Final = re.compile(r"[^。！？；，、\s][^。！？；，、\n]*(?<!\s)")
_ENGLISH: Final[Sequence[Rule]] = (
    *english.ADDRESSES,
    *english.AMOUNTS,
    *english.SIGNS,
    *NUMBERS,
)
_PLAIN_ENGLISH: Final = re.compile(r"[A-Za-z\s,;:!?'\"’“”()-]*(?:(?<=[a-z])\.\s*)?")
_PLAIN_CHINESE: Final = re.compile(r"[\u4e00-\u9fff\sA-Za-z，。！？；：、“”（）《》]*")


def load() -> None:
    """Loads the library, so that the first user does not wait for it."""
    in_words("1", "zh")


def words_of(spoken: Spoken, language: str) -> Spoken:
    """Returns a text in the words of a language.

    Args:
        spoken: A text, of which parts may be in words already.
        language: The BCP-47 language of the voice; numbers and signs of languages other than
            English and Chinese are left to the voice.
    """
    if is_chinese_tag(language):
        return _chinese(spoken)
    if primary(language) == "en" and not _PLAIN_ENGLISH.fullmatch(spoken.text):
        return applied(_ENGLISH, spoken)
    return spoken


def _chinese(spoken: Spoken) -> Spoken:
    if _PLAIN_CHINESE.fullmatch(spoken.text):
        return spoken
    spoken = applied(chinese.BEFORE_NUMBERS, spoken)
    changes: list[tuple[int, int, str]] = []
    for clause in _CLAUSE.finditer(spoken.text):
        if not any(char.isdigit() for char in clause[0]):
            continue
        words = in_words(clause[0], "zh")
        if words is not None:
            changes += [
                (clause.start() + start, clause.start() + end, each)
                for start, end, each in changes_of(clause[0], words)
            ]
    return spoken.replaced(changes)
