"""International Morse code (ITU-R M.1677-1): how long each tone and each silence lasts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

_TABLE = """
a .-    b -...  c -.-.  d -..   e .     f ..-.  g --.   h ....  i ..    j .---  k -.-   l .-..
m --    n -.    o ---   p .--.  q --.-  r .-.   s ...   t -     u ..-   v ...-  w .--   x -..-
y -.--  z --..  0 ----- 1 .---- 2 ..--- 3 ...-- 4 ....- 5 ..... 6 -.... 7 --... 8 ---.. 9 ----.
. .-.-.-  , --..--  : ---...  ? ..--..  ' .----.  - -....-  / -..-.  ( -.--.  ) -.--.-
" .-..-.  = -...-   + .-.-.   @ .--.-.  $ ...-..-  ! -.-.--
"""
_LETTERS = _TABLE.split()
CODE = MappingProxyType(dict(zip(_LETTERS[::2], _LETTERS[1::2], strict=True)))
_SAME = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-"})
_DOT, _DASH, _LETTER_GAP, _WORD_GAP = 1, 3, 3, 7


@dataclass(frozen=True)
class Signal:
    """A tone or a silence.

    Attributes:
        dots: How long it is, in dots.
        char: The index of the character that it belongs to.
        tone: Whether it is a tone.
    """

    dots: int
    char: int
    tone: bool


def signals(text: str) -> Iterator[Signal]:
    """Yields the signals of a text; characters without a code are passed over."""
    gap = 0
    for index, character in enumerate(text):
        if character.isspace():
            gap = max(gap, _WORD_GAP) if gap else 0
            continue
        for part in unicodedata.normalize("NFKD", character.lower().translate(_SAME)):
            for symbol in CODE.get(part, ""):
                if gap:
                    yield Signal(gap, index, tone=False)
                yield Signal(_DOT if symbol == "." else _DASH, index, tone=True)
                gap = _DOT
            gap = max(gap, _LETTER_GAP) if gap else 0
