"""Splits text into passages that fit into the encoder's window."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from semantic_text_splitter import TextSplitter

from memory.knowledge.reading.blocks import MAX_PASSAGE_CHARS, MAX_PASSAGES, Block, too_many
from text.scripts import IDEOGRAPHIC

# Of the 256 tokens that the encoders read; the rest is for title and headings.
MAX_TOKENS: Final = 200
# Without a tokenizer; about the same length in Latin letters.
MAX_CHARS: Final = 800
# A token is about four Latin letters, or one and a half Chinese characters.
_IDEOGRAPH_CHARS: Final = 3
_IDEOGRAPHS: Final = re.compile(f"[{IDEOGRAPHIC}]")
# The splitter's time grows with the square of what it gets at once.
_WINDOW_CHARS: Final = 8_000
_BY_LENGTH: Final = TextSplitter(MAX_PASSAGE_CHARS)
_BETWEEN: Final = "\n\n"
_HEADING_SEPARATOR: Final = " > "


@dataclass(frozen=True, slots=True)
class Cut:
    """A passage."""

    text: str
    heading: str
    page: int
    """The page on which it begins, from 1; 0 if the document has no pages."""


def splitter(tokenizer_json: str | None) -> TextSplitter:
    """Creates a splitter, which splits at paragraphs, sentences and words, in this order.

    Args:
        tokenizer_json: The encoder's tokenizer, to count tokens; None means characters are counted,
            those of Chinese and Japanese as three.
    """
    if tokenizer_json is None:
        return TextSplitter.from_callback(_length, MAX_CHARS)
    tokenizer = json.loads(tokenizer_json)
    # Otherwise a long text would count only as many tokens as the encoder reads.
    tokenizer["truncation"] = tokenizer["padding"] = None
    return TextSplitter.from_huggingface_tokenizer_str(json.dumps(tokenizer), MAX_TOKENS)


def _length(text: str) -> int:
    if text.isascii():
        return len(text)
    return len(text) + (_IDEOGRAPH_CHARS - 1) * len(_IDEOGRAPHS.findall(text))


def cut(blocks: Sequence[Block], by: TextSplitter) -> list[Cut]:
    """Splits blocks into passages; none extends beyond a heading, but it may extend beyond a page.

    Raises:
        UnreadableError: There are more passages than a document may have.
    """
    passages: list[Cut] = []
    for headings, part in groupby(blocks, key=lambda block: block.headings):
        for one in _passages(_HEADING_SEPARATOR.join(headings), list(part), by):
            if len(passages) == MAX_PASSAGES:
                raise too_many("passages", MAX_PASSAGES)
            passages.append(one)
    return passages


def _passages(heading: str, blocks: Sequence[Block], by: TextSplitter) -> Iterator[Cut]:
    starts, at = [], 0
    for block in blocks:
        starts.append(at)
        at += len(block.text) + len(_BETWEEN)
    text = _BETWEEN.join(block.text for block in blocks)
    for start, stretch in _stretches(text, by):
        page = blocks[bisect_right(starts, start) - 1].page
        for passage in _bounded(stretch):
            yield Cut(passage, heading, page)


def _stretches(text: str, by: TextSplitter) -> Iterator[tuple[int, str]]:
    """Yields what `by` makes of a text, with its positions; gives it one window at a time."""
    at = 0
    while at < len(text):
        window, end = text[at : at + _WINDOW_CHARS], at + _WINDOW_CHARS
        found = list(by.chunk_indices(window))
        if len(found) == 1 and len(found[0][1]) > MAX_PASSAGE_CHARS:
            found = list(_BY_LENGTH.chunk_indices(window))
        if end < len(text) and len(found) > 1:
            # The last one may go on behind the window.
            end = at + found.pop()[0]
        for start, stretch in found:
            yield at + start, stretch
        at = end


def _bounded(stretch: str) -> Iterator[str]:
    """Splits a stretch that is too long: between words, or within a word between graphemes."""
    whole = (stretch,) if len(stretch) <= MAX_PASSAGE_CHARS else _BY_LENGTH.chunks(stretch)
    for passage in whole:
        if passage.strip():
            yield passage.strip()
