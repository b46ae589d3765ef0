"""Finds passages for a question in all knowledge bases that apply to it."""

import asyncio
from typing import Final

from anima.memory import v1 as wire
from memory.knowledge.base import KnowledgeBase
from memory.knowledge.document import FoundPassage, Owner
from memory.search import selector
from services.runtime.validation import check_range, check_turn_id

MAX_PASSAGES: Final = 50
# Anything lower only shares a common word with the question.
_MIN_SCORE: Final = 0.15


def checked_owners(request: wire.RecallRequest) -> list[Owner]:
    """Returns the owners whose documents apply: the user and the persona.

    Raises:
        InvalidRequest: A field is invalid.
    """
    check_range("max_passages", request.max_passages, 0, MAX_PASSAGES)
    if request.persona:
        check_turn_id("persona", request.persona)
    own = [Owner(user_id=request.user_id)] if request.user_id else []
    return own + ([Owner(persona=request.persona)] if request.persona else [])


async def recall_passages(
    knowledge: KnowledgeBase | None, request: wire.RecallRequest
) -> list[FoundPassage]:
    """Returns the passages that match a request's question, best first; none for small talk."""
    owners = checked_owners(request)
    if knowledge is None or not request.max_passages:
        return []
    if selector.need_of(request.query) is selector.Need.NONE:
        return []
    count, least = request.max_passages, max(request.min_score, _MIN_SCORE)
    async with asyncio.TaskGroup() as group:
        searches = [
            group.create_task(
                knowledge.search(owner, request.query, max_passages=count, min_score=least)
            )
            for owner in owners
        ]
    found = [one for search in searches for one in search.result()]
    return sorted(found, key=lambda one: -one.score)[:count]
