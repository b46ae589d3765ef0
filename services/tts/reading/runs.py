"""Splits a text into runs of one script, so that each can be read by a voice that knows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from text.scripts import CHINESE, JAPANESE, LATIN, SCRIPTS, Script

UNKNOWN: Final = Script(name="unknown", characters="")
"""Of letters of a script that is not distinguished."""
_LETTERS: Final = re.compile(
    "|".join(f"(?P<s{number}>[{script.characters}])" for number, script in enumerate(SCRIPTS))
    + r"|(?P<unknown>[^\W\d_])"
)
_SCRIPT_OF: Final = {f"s{number}": script for number, script in enumerate(SCRIPTS)} | {
    "unknown": UNKNOWN
}
_KANA_SHARE: Final = 4
_CLOSING: Final = " \t\n.,;:!?。，、；：！？…)]}»”’」』）】》"


@dataclass(frozen=True)
class Run:
    """A stretch of a text in one script, with the marks and digits around it.

    Attributes:
        script: Its script; None: it has no letters.
    """

    start: int
    end: int
    script: Script | None


def runs_of(text: str) -> list[Run]:
    """Returns the runs of a text, which cover it.

    Digits and marks between letters of one script belong to them; between two scripts, closing
    marks and blanks belong to the run before, all others to the run after.
    """
    if text.isascii():
        return [Run(0, len(text), LATIN if any(c.isalpha() for c in text) else None)]
    runs: list[Run] = []
    for start, end, script in _stretches(text):
        if not runs:
            runs.append(Run(0, end, script))
        elif runs[-1].script is script:
            runs[-1] = Run(runs[-1].start, end, script)
        else:
            between = text[runs[-1].end : start]
            cut = start - len(between.lstrip(_CLOSING))
            runs[-1] = Run(runs[-1].start, cut, runs[-1].script)
            runs.append(Run(cut, end, script))
    if not runs:
        return [Run(0, len(text), None)]
    runs[-1] = Run(runs[-1].start, len(text), runs[-1].script)
    return runs


def _stretches(text: str) -> Iterator[tuple[int, int, Script]]:
    """Yields each letter with its script; Han is Japanese in a text with enough kana."""
    han = len(CHINESE.unit.findall(text))
    kana = len(JAPANESE.unit.findall(text))
    is_japanese = kana * _KANA_SHARE >= han + kana
    for match in _LETTERS.finditer(text):
        script = _SCRIPT_OF[match.lastgroup or "unknown"]
        if script is CHINESE and is_japanese and kana:
            script = JAPANESE
        yield match.start(), match.end(), script
