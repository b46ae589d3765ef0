"""Extracts facts from what a person said, by rules, in English and Chinese.

Only the person's own words are read: extracting from recalled or answered text would make the
memory feed on itself.
"""

import re
from collections.abc import Iterator

from text.facts import chinese, english
from text.facts.candidate import Finding
from text.facts.feedback import feedback
from text.languages import has_chinese

EXTRACTOR = "rules-2"
"""The name and version of the rules; a new version reads all items once more."""

_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")
MAX_CHARS = 2_000
"""The number of characters of a turn that are read."""


def findings(text: str) -> list[Finding]:
    """Extracts the findings of a text.

    Args:
        text: The person's words, in English or Chinese; other languages yield nothing.

    Returns:
        The findings in the order of the text.
    """
    read = text[:MAX_CHARS]
    on_the_answer = feedback(read)
    return list(_read(read)) if on_the_answer is None else on_the_answer


def _read(text: str) -> Iterator[Finding]:
    for sentence in _SENTENCE.findall(text):
        reader = chinese if has_chinese(sentence) else english
        yield from reader.findings(sentence)
