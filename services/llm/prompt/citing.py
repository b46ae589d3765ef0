"""Finds the documents that an answer names, for generative engines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from retrieval.tokeniser import FUNCTION_WORDS, tokens
from services.llm.engine import Source, SourceKind
from services.llm.prompt.prompt import Memory
from text.normal import normalised

# A title this short may be a common word: it must match exactly, including case.
_SHORT_CHARS: Final = 3


def cited(memories: Sequence[Memory], answer: str) -> tuple[Source, ...]:
    """Returns the passages of the prompt whose documents are named in an answer.

    Args:
        memories: The memories in the prompt.
        answer: The generated answer.

    Returns:
        For each document named, the passage that shares most words with the answer, in the order of
        the memories. Whether the answer agrees with the passage is not checked.
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
    """Returns the words of a text in lower case, separated by single spaces."""
    return " ".join("".join(c if c.isalnum() else " " for c in normalised(text)).split())
