"""Extracts facts from what a person said, by rules, in English and Chinese.

Only the person's own words are read: extracting from recalled or answered text would make the
memory feed on itself.
"""

from text.facts.candidate import Finding
from text.facts.clauses import clauses
from text.facts.feedback import feedback
from text.facts.forgetting import Scope, wish_to_forget

EXTRACTOR = "rules-3"
"""The name and version of the rules; a new version reads all items once more."""

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
    wish = wish_to_forget(read)
    if wish is not None and wish.scope is not Scope.LAST:
        return []
    on_the_answer = feedback(read)
    if on_the_answer is not None:
        return on_the_answer
    return [finding for clause in clauses(read) for finding in clause.findings]
