"""Rules by which stretches of a text are spoken in other words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.tts.reading.spoken import Spoken

Words = Callable[[re.Match[str]], str | None]
"""Returns the words for a match, or None: it is spoken as it is."""


@dataclass(frozen=True)
class Rule:
    """What a pattern matches is spoken in the words that a function returns.

    If the pattern has a group `said`, only that group is replaced; the rest is context.
    """

    pattern: re.Pattern[str]
    words: Words


def rule(pattern: str, words: Words | str, flags: int = 0) -> Rule:
    """Returns a rule; a text is a template as of `re.Match.expand`."""
    compiled = re.compile(pattern, flags)
    if isinstance(words, str):
        template = words
        return Rule(compiled, lambda match: match.expand(template))
    return Rule(compiled, words)


def applied(rules: Sequence[Rule], spoken: Spoken) -> Spoken:
    """Applies rules one after the other, each to the words that the ones before it made."""
    for each in rules:
        group = "said" if "said" in each.pattern.groupindex else 0
        changes = [
            (*match.span(group), words)
            for match in each.pattern.finditer(spoken.text)
            if match[group] and (words := each.words(match)) is not None
        ]
        if changes:
            spoken = spoken.replaced(changes)
    return spoken


TAGS = rule(
    r"</?(?:[A-Za-z][\w-]*)(?:\s+[\w:-]+=\"[^\"<>]*\")*\s*/?>",
    lambda match: f" {match.group().strip('</>')} ",
)
"""A tag is text, as in `List<int>`, but its brackets are no signs of mathematics."""
