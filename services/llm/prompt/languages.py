"""In which language an answer is given: the one asked for, else that of the question's script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
"""A BCP-47 language tag, as far as personas need one."""


@dataclass(frozen=True)
class _Script:
    """Letters that tell a group of languages from the others."""

    # One match is one unit: a word where words are spaced, else a character.
    unit: re.Pattern[str]
    languages: frozenset[str]


_SCRIPTS: Final = (
    _Script(re.compile(r"[\u3040-\u30ff]"), frozenset({"ja"})),
    _Script(
        re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"),
        frozenset({"zh", "yue", "wuu"}),
    ),
    _Script(re.compile(r"[\uac00-\ud7af\u1100-\u11ff]+"), frozenset({"ko"})),
    _Script(
        re.compile(r"[\u0400-\u04ff]+"), frozenset({"be", "bg", "kk", "mk", "mn", "ru", "sr", "uk"})
    ),
    _Script(re.compile(r"[\u0370-\u03ff]+"), frozenset({"el"})),
    _Script(re.compile(r"[\u0590-\u05ff]+"), frozenset({"he", "yi"})),
    _Script(re.compile(r"[\u0600-\u06ff]+"), frozenset({"ar", "fa", "ur"})),
    _Script(re.compile(r"[\u0900-\u097f]+"), frozenset({"hi", "mr", "ne"})),
    _Script(re.compile(r"[\u0e00-\u0e7f]+"), frozenset({"th"})),
)
_LATIN_WORD: Final = re.compile(r"[A-Za-z\u00c0-\u024f]+")
_JAPANESE: Final = _SCRIPTS[0]


def primary(tag: str) -> str:
    """The language of a tag without region or script: `zh` of `zh-Hans-CN`."""
    return tag.partition("-")[0].lower()


def spoken(tag: str, languages: Sequence[str]) -> str | None:
    """The one of `languages` that serves somebody who asks for `tag`; None if there is none."""
    for language in languages:
        if language.lower() == tag.lower():
            return language
    return next((one for one in languages if primary(one) == primary(tag)), None)


def language_of(text: str, languages: Sequence[str]) -> str:
    """The one of `languages` whose script most of `text` is written in.

    Args:
        text: What somebody said; a word of another language inside it does not decide.
        languages: BCP-47 tags, the default first; at least one.

    Returns:
        The first language of the script that has the most words (Chinese and Japanese:
        characters), or the default where the script is unknown or nobody speaks it.
    """
    counts = [(len(script.unit.findall(text)), script) for script in _SCRIPTS]
    count, script = max(counts, key=lambda pair: pair[0])
    if counts[0][0] > 0:  # kana decides, however many Han characters stand around it
        count, script = max(count, 1), _JAPANESE
    if count == 0 or count < len(_LATIN_WORD.findall(text)):
        other = frozenset[str]().union(*(known.languages for known in _SCRIPTS))
        latin = [tag for tag in languages if primary(tag) not in other]
        has_latin = bool(_LATIN_WORD.search(text))
        return latin[0] if has_latin and latin else languages[0]
    return next((tag for tag in languages if primary(tag) in script.languages), languages[0])
