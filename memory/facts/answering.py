"""Finds the facts that answer a question about the person, whatever words it uses.

"What do I hate?" shares no word with "I do not like olives.", and "What do you know about me?" none
with anything: their attributes match, so a search by words or vectors is not needed.
"""

from typing import Final

from anima.memory.v1 import ITEM_KIND_FACT
from memory.items.item import Item, RecalledItem
from memory.search.searching import Query
from memory.store import Truth
from retrieval.topics import covered, topic_of
from text.facts.asked import Asked, asked, asks_for_all
from text.facts.forgetting import Scope, wish_to_forget
from text.facts.sentences import asks

_MOST_READ: Final = 500
_SCORE: Final = 0.95
"""A fact that answers the question comes before items that only resemble it."""


def facts_for(store: Truth, query: Query) -> list[RecalledItem]:
    """Returns the facts that hold and answer a question, the newest first.

    Facts of the session that the query excludes are left out.
    """
    if not query.user_id or not query.wants(ITEM_KIND_FACT):
        return []
    everything, named = _named(query.text)
    if not everything and not named:
        return []
    rows = store.slice(
        query.user_id, after=None, limit=_MOST_READ, newest_first=True, kinds=[ITEM_KIND_FACT]
    )
    found = [
        item
        for _, item in rows
        if item.holds
        and not (query.exclude_session_id and item.session_id == query.exclude_session_id)
        and (everything or any(_answers(item, one) for one in named))
    ]
    return [
        RecalledItem(item=item, score=_SCORE, vector_score=0.0, lexical_score=0.0)
        for item in found[: query.max_items]
    ]


def with_facts(
    found: list[RecalledItem], facts: list[RecalledItem], max_items: int
) -> list[RecalledItem]:
    """Puts the facts that answer a question before what was found, each item once."""
    answering = {one.item.item_id for one in facts}
    others = [one for one in found if one.item.item_id not in answering]
    return [*facts, *others][:max_items]


def _named(text: str) -> tuple[bool, tuple[Asked, ...]]:
    """Returns whether all facts are asked for, and otherwise which ones."""
    if asks_for_all(text):
        return True, ()
    if (wish := wish_to_forget(text)) is not None:
        return wish.scope is Scope.EVERYTHING, wish.about
    return False, (asked(text),) if asks(text) else ()


def _answers(item: Item, question: Asked) -> bool:
    fact = item.fact
    if fact is None or fact.attribute not in question.attributes:
        return False
    if not question.has_subject(fact.subject):
        return False
    topic = topic_of(question.words)
    return not (question.is_yes_no and topic) or covered(topic, item.text) > 0
