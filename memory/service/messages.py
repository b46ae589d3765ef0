"""Items as messages: validation and conversion."""

import uuid
from collections.abc import Sequence
from typing import cast

from anima.memory import v1 as wire
from memory.items.item import Fact, Item, RecalledItem, Summary
from services.runtime.errors import InvalidRequest
from services.runtime.validation import (
    check_name,
    check_range,
    check_turn_id,
    cleaned_line,
    cleaned_text,
)

MAX_NAME_CHARS = 64
MAX_TEXT_CHARS = 8_000
MAX_VALUE_CHARS = 500
MAX_SOURCES = 1_000
# 9999-12-31T23:59:59.999Z
MAX_UNIX_MS = 253_402_300_799_999


def checked_item(field: str, item: wire.Item, now_unix_ms: int, *, with_fact: bool = False) -> Item:
    """Validates and converts a received item.

    Args:
        field: Its location in the request.
        item: The message.
        now_unix_ms: The time for items without one.
        with_fact: Whether it may contain a fact, as in an import.

    Raises:
        InvalidRequest: It is invalid; the text names the field.
    """
    text = cleaned_text(f"{field}.text", item.text, MAX_TEXT_CHARS)
    for name in ("item_id", "session_id", "turn_id"):
        value = getattr(item, name)
        if value:
            check_turn_id(f"{field}.{name}", value)
    if item.kind not in wire.ItemKind.values():
        raise InvalidRequest(f"{field}.kind: unknown value {item.kind}")
    if item.speaker not in wire.Speaker.values():
        raise InvalidRequest(f"{field}.speaker: unknown value {item.speaker}")
    if item.kind == wire.ITEM_KIND_SUMMARY and not with_fact:
        raise InvalidRequest(f"{field}.kind: summaries are made by the memory")
    check_range(f"{field}.created_unix_ms", item.created_unix_ms, 0, MAX_UNIX_MS)
    if item.speaker_name:
        check_name(f"{field}.speaker_name", item.speaker_name, MAX_NAME_CHARS)
    if item.HasField("fact") and not with_fact:
        raise InvalidRequest(
            f"{field}.fact: is allowed only in Import; the memory extracts facts itself"
        )
    if item.HasField("summary") != (item.kind == wire.ITEM_KIND_SUMMARY):
        raise InvalidRequest(
            f"{field}.summary: must be set for items of the kind summary, and for no others"
        )
    return Item(
        item_id=item.item_id or uuid.uuid4().hex,
        kind=item.kind or wire.ITEM_KIND_TURN,
        speaker=item.speaker,
        text=text,
        session_id=item.session_id,
        turn_id=item.turn_id,
        created_unix_ms=item.created_unix_ms or now_unix_ms,
        speaker_name=item.speaker_name,
        fact=_checked_fact(f"{field}.fact", item.fact) if item.HasField("fact") else None,
        summary=(
            _checked_summary(f"{field}.summary", item.summary) if item.HasField("summary") else None
        ),
    )


def _check_sources(field: str, item_ids: Sequence[str]) -> None:
    if len(item_ids) > MAX_SOURCES:
        raise InvalidRequest(
            f"{field}.source_item_ids: must be at most {MAX_SOURCES} ids, got {len(item_ids)}"
        )
    for at, item_id in enumerate(item_ids):
        check_turn_id(f"{field}.source_item_ids[{at}]", item_id)


def _checked_summary(field: str, summary: wire.Summary) -> Summary:
    if not summary.source_item_ids:
        raise InvalidRequest(f"{field}.source_item_ids: a summary must have at least one source")
    _check_sources(field, summary.source_item_ids)
    for name in ("from_unix_ms", "to_unix_ms"):
        check_range(f"{field}.{name}", getattr(summary, name), 0, MAX_UNIX_MS)
    check_name(f"{field}.extractor", summary.extractor, MAX_NAME_CHARS)
    return Summary(
        source_item_ids=tuple(summary.source_item_ids),
        from_unix_ms=summary.from_unix_ms,
        to_unix_ms=summary.to_unix_ms,
        extractor=summary.extractor,
        pinned=summary.pinned,
    )


def _checked_fact(field: str, fact: wire.Fact) -> Fact:
    for name in ("subject", "attribute", "extractor"):
        check_name(f"{field}.{name}", getattr(fact, name), MAX_NAME_CHARS)
    value = cleaned_line(f"{field}.value", fact.value, MAX_VALUE_CHARS)
    check_range(f"{field}.confidence", fact.confidence, 0, 1)
    for name in ("valid_from_unix_ms", "valid_to_unix_ms"):
        check_range(f"{field}.{name}", getattr(fact, name), 0, MAX_UNIX_MS)
    _check_sources(field, fact.source_item_ids)
    if fact.superseded_by:
        check_turn_id(f"{field}.superseded_by", fact.superseded_by)
    return Fact(
        subject=fact.subject,
        attribute=fact.attribute,
        value=value,
        source_item_ids=tuple(fact.source_item_ids),
        valid_from_unix_ms=fact.valid_from_unix_ms,
        valid_to_unix_ms=fact.valid_to_unix_ms,
        confidence=fact.confidence,
        superseded_by=fact.superseded_by,
        pinned=fact.pinned,
        extractor=fact.extractor,
    )


def message_of(item: Item) -> wire.Item:
    """Converts an item to its message."""
    return wire.Item(
        item_id=item.item_id,
        kind=cast(wire.ItemKind.ValueType, item.kind),
        speaker=cast(wire.Speaker.ValueType, item.speaker),
        text=item.text,
        session_id=item.session_id,
        turn_id=item.turn_id,
        created_unix_ms=item.created_unix_ms,
        speaker_name=item.speaker_name,
        fact=None if item.fact is None else _fact_message(item.fact),
        summary=None if item.summary is None else _summary_message(item.summary),
    )


def _summary_message(summary: Summary) -> wire.Summary:
    return wire.Summary(
        source_item_ids=summary.source_item_ids[-MAX_SOURCES:],
        from_unix_ms=summary.from_unix_ms,
        to_unix_ms=summary.to_unix_ms,
        extractor=summary.extractor,
        pinned=summary.pinned,
    )


def _fact_message(fact: Fact) -> wire.Fact:
    return wire.Fact(
        subject=fact.subject,
        attribute=fact.attribute,
        value=fact.value,
        # A fact that is stated all the time must not make its message too large.
        source_item_ids=fact.source_item_ids[-MAX_SOURCES:],
        valid_from_unix_ms=fact.valid_from_unix_ms,
        valid_to_unix_ms=fact.valid_to_unix_ms,
        confidence=fact.confidence,
        superseded_by=fact.superseded_by,
        pinned=fact.pinned,
        extractor=fact.extractor,
    )


def recalled_message_of(recalled: RecalledItem) -> wire.RecalledItem:
    """Converts an item that was found to its message."""
    return wire.RecalledItem(
        item=message_of(recalled.item),
        score=recalled.score,
        vector_score=recalled.vector_score,
        lexical_score=recalled.lexical_score,
    )
