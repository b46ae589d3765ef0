"""Splits text into passages that fit into the encoder's window."""

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from semantic_text_splitter import TextSplitter

from memory.knowledge.reading.blocks import Block, UnreadableError

# Of the 256 tokens that MiniLM reads; the rest is for title and headings.
MAX_TOKENS: Final = 200
# Without a tokenizer; about the same length in Latin letters.
MAX_CHARS: Final = 800
MAX_PASSAGES: Final = 20_000
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
        tokenizer_json: The encoder's tokenizer, to count tokens; None means characters are counted.
    """
    if tokenizer_json is None:
        return TextSplitter(MAX_CHARS)
    tokenizer = json.loads(tokenizer_json)
    # Otherwise a long text would count only as many tokens as the encoder reads.
    tokenizer["truncation"] = tokenizer["padding"] = None
    return TextSplitter.from_huggingface_tokenizer_str(json.dumps(tokenizer), MAX_TOKENS)


def cut(blocks: Sequence[Block], by: TextSplitter) -> list[Cut]:
    """Splits blocks into passages; none extends beyond a heading, but it may extend beyond a page.

    Raises:
        UnreadableError: There are more passages than a document may have.
    """
    passages: list[Cut] = []
    for headings, part in groupby(blocks, key=lambda block: block.headings):
        passages += _passages(_HEADING_SEPARATOR.join(headings), list(part), by)
        if len(passages) > MAX_PASSAGES:
            raise UnreadableError(f"it must have at most {MAX_PASSAGES:,} passages: split it")
    return passages


def _passages(heading: str, blocks: Sequence[Block], by: TextSplitter) -> Iterator[Cut]:
    starts, at = [], 0
    for block in blocks:
        starts.append(at)
        at += len(block.text) + len(_BETWEEN)
    text = _BETWEEN.join(block.text for block in blocks)
    for start, passage in by.chunk_indices(text):
        if passage.strip():
            page = blocks[bisect_right(starts, start) - 1].page
            yield Cut(passage.strip(), heading, page)
