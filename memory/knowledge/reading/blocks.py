"""The output of a parser: stretches of text with the headings above them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from text.cleaning import clean_text

MAX_CHARS: Final = 4_000_000
"""2,000 pages of 2,000 characters; splitting takes about 10 s of CPU time per million."""
MAX_PAGES: Final = 2_000
MAX_BLOCKS: Final = 50_000
"""Paragraphs, items of lists and tables; each costs parsers time, however short it is."""
MAX_HEADING_CHARS: Final = 120
MAX_PASSAGES: Final = 20_000
MAX_PASSAGE_CHARS: Final = 2_000
"""Twice as much as 200 tokens of common text; the tokenizer takes a word of any length for one."""


class UnreadableError(Exception):
    """The document cannot be read; the text states why and what to do."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, an item of a list, or a table."""

    text: str
    headings: tuple[str, ...] = ()
    """The headings above it, outermost first."""
    page: int = 0
    """From 1; 0 if the document has no pages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The content of a document."""

    title: str
    """The title in the document; may be empty."""
    blocks: list[Block]
    page_count: int = 0


@dataclass(slots=True)
class Outline:
    """The headings above a parser's current position."""

    _levels: dict[int, str] = field(default_factory=dict)

    def enter(self, level: int, heading: str) -> None:
        """Starts the section of a heading; level 1 is the outermost."""
        self._levels = {at: text for at, text in self._levels.items() if at < level}
        if text := " ".join(clean(heading).split())[:MAX_HEADING_CHARS]:
            self._levels[level] = text

    @property
    def headings(self) -> tuple[str, ...]:
        """The headings above the position, outermost first."""
        return tuple(text for _, text in sorted(self._levels.items()))


def clean(text: str) -> str:
    """Removes hidden characters, among them those that no database or message can store."""
    return clean_text(text)


def bounded(blocks: Iterator[Block]) -> list[Block]:
    """Collects the blocks that contain text.

    Raises:
        UnreadableError: There is more text, or more paragraphs, than a document may have.
    """
    kept: list[Block] = []
    chars = 0
    for raw in blocks:
        block = replace(raw, text=clean(raw.text))
        if block.text.strip():
            chars += len(block.text)
            if chars > MAX_CHARS:
                raise too_many("characters", MAX_CHARS)
            if len(kept) == MAX_BLOCKS:
                raise too_many("paragraphs", MAX_BLOCKS)
            kept.append(block)
    return kept


def too_many(what: str, most: int) -> UnreadableError:
    """Returns the error for a document that exceeds a limit."""
    return UnreadableError(f"it must have at most {most:,} {what}: split it")
