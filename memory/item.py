"""What the memory holds."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """What a fact says. The fields are those of `anima.memory.v1.Fact`."""

    subject: str
    attribute: str
    value: str
    source_item_ids: tuple[str, ...]
    valid_from_unix_ms: int
    valid_to_unix_ms: int
    """0: it holds."""
    confidence: float
    superseded_by: str
    pinned: bool
    extractor: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What was condensed. The fields are those of `anima.memory.v1.Summary`."""

    source_item_ids: tuple[str, ...]
    from_unix_ms: int
    to_unix_ms: int
    extractor: str
    pinned: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One thing that is remembered. The fields are those of `anima.memory.v1.Item`, checked."""

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
    """For facts that were distilled, corrected or imported."""
    summary: Summary | None = None
    """For summaries."""

    @property
    def holds(self) -> bool:
        """Whether it is no fact that holds no longer."""
        return self.fact is None or not self.fact.valid_to_unix_ms

    @property
    def searched_text(self) -> str:
        """By what the item is found."""
        return searched_text(self.speaker_name, self.text)


def searched_text(speaker_name: str, text: str) -> str:
    """Joins a text with the name of who said it, so that it is found by both."""
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
    """Where an item stands in the order of time; items of the same time stand as they came."""

    created_unix_ms: int
    row_id: int
