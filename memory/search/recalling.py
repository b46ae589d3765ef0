"""Answers a recall: asks the selector what is needed, and searches only there."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from anima.memory import v1 as wire
from memory.engine import MemoryEngine, Recollection
from memory.items.filling import Room
from memory.knowledge.document import FoundPassage
from memory.knowledge.messages import found_message
from memory.knowledge.recalling import recall_passages
from memory.search.selector import Judgement
from memory.search.selector_model import Kind
from memory.service.messages import recalled_message_of

DEFAULT_RECALLED: Final = 5
_NEEDS: Final = {
    Kind.NOTHING: wire.NEED_NONE,
    Kind.PERSONAL: wire.NEED_PERSONAL,
    Kind.KNOWLEDGE: wire.NEED_KNOWLEDGE,
    Kind.BOTH: wire.NEED_BOTH,
}
_NOTHING: Final = Recollection(items=[], skipped=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    recollection: Recollection = _NOTHING
    passages: Sequence[FoundPassage] = ()


async def recalled(
    engine: MemoryEngine,
    request: wire.RecallRequest,
    kinds: Sequence[int],
    *,
    max_answer_bytes: int,
) -> wire.RecallResponse:
    """Returns the matches for a validated request.

    A question that is certainly about the person skips documents, and one that is certainly about
    documents skips the person's items, unless the search that remains finds nothing.

    Raises:
        InvalidRequest: The persona or the number of passages is invalid.
    """
    judged = await engine.judge(request.query)
    found = await _search(
        engine,
        request,
        judged,
        kinds,
        items=judged.kind is not Kind.KNOWLEDGE,
        passages=judged.kind is not Kind.PERSONAL,
    )
    if judged.kind is Kind.KNOWLEDGE and not found.passages:
        found = await _search(engine, request, judged, kinds, items=True, passages=False)
    elif judged.kind is Kind.PERSONAL and not found.recollection.items:
        others = await _search(engine, request, judged, kinds, items=False, passages=True)
        found = _Found(recollection=found.recollection, passages=others.passages)
    kind, probability = _need(judged, found)
    items, passages = found.recollection.items, found.passages
    # Long items leave room for passages, and the other way round.
    room = Room(max_answer_bytes // 2)
    given_items = room.fill(map(recalled_message_of, items))
    room.add(max_answer_bytes // 2)
    given_passages = room.fill(map(found_message, passages))
    return wire.RecallResponse(
        items=given_items,
        skipped=found.recollection.skipped and not found.passages,
        passages=given_passages,
        omitted_count=len(items) - len(given_items) + len(passages) - len(given_passages),
        need=_NEEDS[kind],
        need_probability=probability,
    )


async def _search(
    engine: MemoryEngine,
    request: wire.RecallRequest,
    judged: Judgement,
    kinds: Sequence[int],
    *,
    items: bool,
    passages: bool,
) -> _Found:
    async with asyncio.TaskGroup() as group:
        from_items = group.create_task(
            engine.recall(
                request.user_id,
                request.query,
                judgement=judged,
                max_items=request.max_items or DEFAULT_RECALLED,
                min_score=request.min_score,
                exclude_session_id=request.exclude_session_id,
                kinds=kinds,
                include_past=request.include_past,
            )
            if items and request.user_id
            else _no_items()
        )
        from_documents = group.create_task(
            recall_passages(engine.knowledge, request) if passages else _no_passages()
        )
    return _Found(recollection=from_items.result(), passages=from_documents.result())


async def _no_items() -> Recollection:
    return _NOTHING


async def _no_passages() -> list[FoundPassage]:
    return []


def _need(judged: Judgement, found: _Found) -> tuple[Kind, float]:
    """Returns the need after the search: a very good match overrules "nothing"."""
    if judged.kind is not Kind.NOTHING:
        return judged.kind, judged.probability
    items, passages = bool(found.recollection.items), bool(found.passages)
    if not items and not passages:
        return Kind.NOTHING, judged.probability
    kind = Kind.BOTH if items and passages else Kind.PERSONAL if items else Kind.KNOWLEDGE
    return kind, 1 - judged.probability
