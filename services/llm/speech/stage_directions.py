"""Stage directions in an answer: what a character does, not what it says."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Final

_LISTS: Final = tomllib.loads(
    (files("services.llm.speech") / "stage_directions.toml").read_text(encoding="utf-8")
)
_EN: Final = _LISTS["en"]
_VERBS: Final = frozenset(_EN["verbs"].split())
_NOUNS: Final = frozenset(_EN["nouns"].split())
_ADVERBS: Final = frozenset(_EN["adverbs"].split())
_CHINESE: Final = frozenset(_LISTS["zh"]["words"].split())
_IN_BRACKETS: Final = re.compile(
    r"\(([^()\n]{1,60})\)|\[([^\[\]\n]{1,60})\](?!\()|（([^（）\n]{1,20})）"
)


def is_stage_direction(text: str, *, max_words: int = 8) -> bool:
    """Whether a text that stands by itself is one: "smiles warmly", "laughter", "点头"."""
    words = text.strip(" .!…~。！").split()
    if not words or len(words) > max_words or (words[0][:1].isupper() and len(words) > 1):
        return False
    if words[0] in _CHINESE:
        return len(words) == 1
    if words[0] in _NOUNS and len(words) == 1:
        return True
    lowered = [word.lower().strip(",") for word in words]
    first = lowered[1] if lowered[0] in _ADVERBS and len(words) > 1 else lowered[0]
    return first in _VERBS


def without_stage_directions(text: str) -> list[str]:
    """Returns the parts of a text around its stage directions in brackets."""
    parts, end = [], 0
    for match in _IN_BRACKETS.finditer(text):
        if is_stage_direction(match[1] or match[2] or match[3], max_words=2):
            parts.append(text[end : match.start()])
            end = match.end()
    return [*parts, text[end:]]
