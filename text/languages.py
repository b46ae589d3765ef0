"""Language tags (BCP-47), and detection of a text's language by its script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from text.scripts import CHINESE, HAN, HANGUL, KANA, LATIN, SCRIPTS, script_of

TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
"""A BCP-47 language tag, in the form used by personas."""
_HAN: Final = re.compile(f"[{HAN}]")
_OF_NEIGHBOURS: Final = re.compile(f"[{KANA}{HANGUL}]")
_OF_OTHER_SCRIPTS: Final = frozenset(tag for script in SCRIPTS for tag in script.languages)
_UNSPACED_LANGUAGES: Final = frozenset(
    language for script in SCRIPTS if not script.spaced for language in script.languages
)


def primary(tag: str) -> str:
    """Returns the language of a tag without region or script: `zh` of `zh-Hans-CN`."""
    return tag.partition("-")[0].lower()


def is_chinese_tag(tag: str) -> bool:
    """Reports whether a tag names a language that is written only in Chinese characters."""
    return primary(tag) in CHINESE.languages


def is_spaced(tag: str) -> bool:
    """Reports whether a language is written with spaces between its words."""
    return primary(tag) not in _UNSPACED_LANGUAGES


def spoken(tag: str, languages: Sequence[str]) -> str | None:
    """Returns the one of `languages` that matches the requested `tag`; None: none matches."""
    for language in languages:
        if language.lower() == tag.lower():
            return language
    return next((one for one in languages if primary(one) == primary(tag)), None)


def script_language(text: str) -> str:
    """Returns the language indicated by the script of a text, such as "zh" or "ru"; "": none.

    If a script has several languages, the one with the most speakers; Latin indicates none.
    """
    script = script_of(text)
    return script.languages[0] if script and script.languages else ""


def is_chinese(text: str) -> bool:
    """Reports whether most of a text is Chinese; Japanese is not, however much Han it contains."""
    return script_of(text) is CHINESE


def has_chinese(text: str) -> bool:
    """Reports whether a text contains Chinese words; a text with kana or Hangul does not."""
    return _HAN.search(text) is not None and _OF_NEIGHBOURS.search(text) is None


def written_in(text: str, languages: Iterable[str]) -> str | None:
    """Returns the first of `languages` that is written in the script of most of a text.

    Args:
        text: The text; a few words in another script make no difference.
        languages: BCP-47 tags, the preferred ones first.

    Returns:
        The tag, or None if the script is unknown or none of the languages uses it.
    """
    script = script_of(text)
    if script is None:
        return None
    tags = list(languages)
    if script is LATIN:
        return next((tag for tag in tags if primary(tag) not in _OF_OTHER_SCRIPTS), None)
    for written in (script.languages, script.lenders):
        for tag in tags:
            if primary(tag) in written:
                return tag
    return None


def language_of(text: str, languages: Sequence[str]) -> str:
    """Returns the first of `languages` in the script of most of a text, otherwise the first one.

    Args:
        text: The text.
        languages: BCP-47 tags, the default first; at least one.
    """
    return written_in(text, languages) or languages[0]
