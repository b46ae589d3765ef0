"""The scripts of the world's languages, and detection of the script of a text.

A script is defined by the inside of an `re` character class: the Unicode blocks assigned to it
(Scripts.txt), checked in the tests against the properties of the library `regex`. The standard
library has no such property, and `regex` takes twice as long if every character is examined.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

HAN: Final = (
    "\u2e80-\u2fd5\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufad9"
    "\U00016fe2\U00016fe3\U00016ff0-\U00016ff6\U00020000-\U0003347f"
)
KANA: Final = (
    "\u3041-\u30ff\u31f0-\u31ff\u32d0-\u32fe\u3300-\u3357\uff66-\uff9f"
    "\U0001aff0-\U0001affe\U0001b000-\U0001b168\U0001f200"
)
BOPOMOFO: Final = "\u02ea\u02eb\u3105-\u312f\u31a0-\u31bf"
HANGUL: Final = (
    "\u1100-\u11ff\u302e\u302f\u3131-\u318e\u3200-\u321e\u3260-\u327e\ua960-\ua97c\uac00-\ud7fb"
    "\uffa0-\uffdc"
)
THAI: Final = "\u0e01-\u0e3a\u0e40-\u0e5b"

IDEOGRAPHIC: Final = HAN + KANA + BOPOMOFO
"""Written without spaces; each character is about a syllable and counts as a word."""
UNSPACED: Final = IDEOGRAPHIC + THAI + "\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Written without spaces between words: also Thai, Lao, Burmese and Khmer."""
CJK_PUNCTUATION: Final = "\u3000-\u3004\u3006\u3008-\u3020\u3030-\u3037\u303c-\u303f\uff01-\uff65"
"""Full-width punctuation and forms, which need no space next to them."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """A script, or several scripts that one language uses together.

    Attributes:
        name: Its name.
        characters: The inside of a character class of `re`.
        languages: The languages written in it, as primary subtags of BCP-47, the one with the most
            speakers first; empty: too many to indicate one.
        lenders: Languages that are also written in it, but rarely in it alone.
        spaced: Whether words are separated by spaces; if not, a character is counted as a word.
    """

    name: str
    characters: str
    languages: tuple[str, ...] = ()
    lenders: tuple[str, ...] = ()
    spaced: bool = True

    @cached_property
    def unit(self) -> re.Pattern[str]:
        """Matches one word, or one character of a script without spaces."""
        return re.compile(f"[{self.characters}]" + ("+" if self.spaced else ""))


LATIN: Final = Script(
    name="Latin",
    characters="A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02b8\u1e00-\u1eff\uff21-\uff5a",
)
JAPANESE: Final = Script(name="Kana", characters=KANA, languages=("ja",), spaced=False)
CHINESE: Final = Script(
    name="Han",
    characters=HAN + BOPOMOFO,
    languages=("zh", "yue", "wuu", "cmn", "nan", "hak", "lzh"),
    lenders=("ja",),
    spaced=False,
)
SCRIPTS: Final = (
    LATIN,
    JAPANESE,
    CHINESE,
    Script(name="Hangul", characters=HANGUL, languages=("ko",)),
    Script(
        name="Cyrillic",
        characters="\u0400-\u052f\u1c80-\u1c8a\u1d2b\u1d78\u2de0-\u2dff\ua640-\ua69f",
        languages=("ru", "uk", "be", "bg", "sr", "mk", "kk", "ky", "mn", "tg", "tt"),
    ),
    Script(
        name="Greek",
        characters="\u0370-\u03e1\u03f0-\u03ff\u1d26-\u1d2a\u1f00-\u1fff",
        languages=("el",),
    ),
    Script(name="Hebrew", characters="\u0591-\u05f4\ufb1d-\ufb4f", languages=("he", "yi")),
    Script(
        name="Arabic",
        characters="\u0600-\u06ff\u0750-\u077f\u0870-\u08ff\ufb50-\ufdff\ufe70-\ufefc",
        languages=("ar", "fa", "ur", "ps", "sd", "ug"),
    ),
    Script(
        name="Devanagari",
        characters="\u0900-\u097f\ua8e0-\ua8ff",
        languages=("hi", "mr", "ne", "sa", "kok"),
    ),
    Script(name="Bengali", characters="\u0980-\u09ff", languages=("bn", "as")),
    Script(name="Gurmukhi", characters="\u0a00-\u0a7f", languages=("pa",)),
    Script(name="Gujarati", characters="\u0a80-\u0aff", languages=("gu",)),
    Script(name="Oriya", characters="\u0b00-\u0b7f", languages=("or",)),
    Script(name="Tamil", characters="\u0b80-\u0bff", languages=("ta",)),
    Script(name="Telugu", characters="\u0c00-\u0c7f", languages=("te",)),
    Script(name="Kannada", characters="\u0c80-\u0cff", languages=("kn",)),
    Script(name="Malayalam", characters="\u0d00-\u0d7f", languages=("ml",)),
    Script(name="Sinhala", characters="\u0d80-\u0dff", languages=("si",)),
    Script(name="Thai", characters=THAI, languages=("th",), spaced=False),
    Script(
        name="Georgian", characters="\u10a0-\u10ff\u1c90-\u1cbf\u2d00-\u2d2d", languages=("ka",)
    ),
    Script(name="Armenian", characters="\u0531-\u058f\ufb13-\ufb17", languages=("hy",)),
    Script(name="Ethiopic", characters="\u1200-\u139f", languages=("am", "ti")),
)
"""The scripts that are distinguished; others are unknown."""

_ANY_IDEOGRAPH: Final = re.compile(f"[{IDEOGRAPHIC}]")
_FIRST_IDEOGRAPH: Final = "\u02ea"


def is_ideographic(character: str) -> bool:
    """Reports whether a character is Han, kana or bopomofo."""
    return character >= _FIRST_IDEOGRAPH and _ANY_IDEOGRAPH.match(character) is not None


def script_of(text: str) -> Script | None:
    """Returns the script of most words of a text; None: unknown.

    A character of a script without spaces counts as a word. If there are as many Latin words as
    others, the others win: a voice that reads Chinese can also read a few Latin words, but not the
    other way round. Kana among Han characters make the text Japanese.
    """
    counts = {script: len(script.unit.findall(text)) for script in SCRIPTS}
    if counts[JAPANESE]:
        counts[JAPANESE] += counts.pop(CHINESE)
    latin = counts.pop(LATIN)
    script, count = max(counts.items(), key=lambda pair: pair[1])
    if count and count >= latin:
        return script
    return LATIN if latin else None
