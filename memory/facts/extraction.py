"""Distils facts from what a person said, by rules, in English and Chinese.

Only the person's own words are read: text that was recalled or answered, read again, would feed the
memory with itself.
"""

import re
from collections.abc import Iterator

from memory.facts import chinese, english
from memory.facts.candidate import Denial, Finding
from retrieval.text import normalised

EXTRACTOR = "rules-1"
"""The name and version of the rules; a new version reads everything once more."""

_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_DENIAL = re.compile(
    r"^(?:no[, ]*)?(?:that(?:'s| is| was)|you(?:'re| are)|it(?:'s| is)) "
    r"(?:(?:all|completely|simply) )?(?:wrong|not (?:right|true|correct)|incorrect|mistaken|false)$"
    r"|^(?:不对|错了|你错了|你记错了|不是这样|不是的|说错了)"
    r"(?:[，, ]*(?:不对|错了|你错了|你记错了|不是这样))*$"
)
_MAX_CHARS = 2_000


def findings(text: str) -> list[Finding]:
    """Reads what a person said.

    Args:
        text: What they said, in English or Chinese; anything else gives nothing.

    Returns:
        What was found, in the order of the text.
    """
    read = text[:_MAX_CHARS]
    if _DENIAL.match(normalised(read).strip(" .!。！，,")):
        return [Denial()]
    return list(_read(read))


def _read(text: str) -> Iterator[Finding]:
    for sentence in _SENTENCE.findall(text):
        reader = chinese if _CHINESE.search(sentence) else english
        yield from reader.findings(sentence)
