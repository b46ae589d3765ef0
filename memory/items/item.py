"""The data that the memory stores."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """The content of a fact. The fields are those of `anima.memory.v1.Fact`."""

    subject: str
    attribute: str
    value: str
    source_item_ids: tuple[str, ...]
    valid_from_unix_ms: int
    valid_to_unix_ms: int
    """0 while the fact is true."""
    confidence: float
    superseded_by: str
    pinned: bool
    extractor: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The content of a summary. The fields are those of `anima.memory.v1.Summary`."""

    source_item_ids: tuple[str, ...]
    from_unix_ms: int
    to_unix_ms: int
    extractor: str
    pinned: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A remembered item. The fields are those of `anima.memory.v1.Item`, validated."""

    item_id: str
    kind: int
    """A value of the proto's `ItemKind`."""
    speaker: int
    """A value of the proto's `Speaker`."""
    text: str
    session_id: str
    turn_id: str
    created_unix_ms: int
    speaker_name: str = ""
    fact: Fact | None = None
    """For facts that were extracted, corrected or imported."""
    summary: Summary | None = None
    """For summaries."""

    @property
    def holds(self) -> bool:
        """Whether the item is not an outdated fact."""
        return self.fact is None or not self.fact.valid_to_unix_ms

    @property
    def searched_text(self) -> str:
        """The text by which the item is found."""
        return searched_text(self.speaker_name, self.text)


def searched_text(speaker_name: str, text: str) -> str:
    """Joins a text with its speaker's name, so that both find it."""
    return f"{speaker_name}: {text}" if speaker_name else text


@dataclass(frozen=True, kw_only=True, slots=True)
class RecalledItem:
    """An item that was found, with its scores, each 0 to 1."""

    item: Item
    score: float
    vector_score: float
    lexical_score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """The position of an item in the order of time; items of the same time are in storage order."""

    created_unix_ms: int
    row_id: int
