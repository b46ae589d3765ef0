"""Tells which documents an answer names, for engines that write freely."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from retrieval.tokeniser import FUNCTION_WORDS, normalised, tokens
from services.llm.engine import Source, SourceKind
from services.llm.prompt.prompt import Memory

# So short a title may be a common word: only as it is written does it count.
_SHORT_CHARS: Final = 3


def cited(memories: Sequence[Memory], answer: str) -> tuple[Source, ...]:
    """Gives the passages that an answer was told and whose document it names.

    Args:
        memories: What the engine was given.
        answer: What it wrote.

    Returns:
        Of each document that is named the passage that shares most words with the answer, in the
        order of the memories. Whether the answer says what stands there is not judged.
    """
    if all(memory.citation is None for memory in memories):
        return ()
    heard = f" {_plain(answer)} "
    words = set(tokens(answer)) - FUNCTION_WORDS
    best: dict[str, tuple[int, Memory]] = {}
    for memory in memories:
        if memory.citation is None:
            continue
        title = _plain(memory.citation.title)
        shared = len(words & set(tokens(memory.text)))
        if (
            title
            and _names(answer, heard, memory.citation.title)
            and shared > best.get(title, (0, memory))[0]
        ):
            best[title] = (shared, memory)
    return tuple(
        Source(kind=SourceKind.DOCUMENT, name=memory.citation.label, score=memory.score)
        for _, memory in best.values()
        if memory.citation is not None
    )


def _names(answer: str, heard: str, title: str) -> bool:
    if len(title) <= _SHORT_CHARS and title.isascii():
        return re.search(rf"(?<!\w){re.escape(title)}(?!\w)", answer) is not None
    plain = _plain(title)
    return f" {plain} " in heard if plain.isascii() else plain in heard


def _plain(text: str) -> str:
    """The text in lower case, with nothing but single spaces between its words."""
    return " ".join("".join(c if c.isalnum() else " " for c in normalised(text)).split())
