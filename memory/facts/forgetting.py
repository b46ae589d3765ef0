"""Erases what a person wishes to be forgotten: "forget my name", "forget everything about me"."""

from collections.abc import Iterator
from typing import Final

from anima.memory.v1 import ITEM_KIND_TURN, SPEAKER_ASSISTANT, SPEAKER_USER
from memory.facts.ledger import Undistilled
from memory.facts.matching import stands_in
from memory.items.item import Item
from memory.store import Truth
from retrieval.topics import covered, topic_of
from text.facts.asked import Asked
from text.facts.candidate import Candidate, key_of
from text.facts.clauses import clauses
from text.facts.forgetting import Scope, Wish, is_consent, wish_to_forget
from text.facts.sentences import asks

_PAGE: Final = 500
# The value of a fact in an answer gives it away, unless it is as short as an age.
_MIN_VALUE_CHARS: Final = 3


class Forgetter:
    """Finds and erases the items that a wish names. As thread-safe as the store.

    Items that were said after the wish are kept, because a wish may be read late or twice.
    """

    def __init__(self, store: Truth) -> None:
        self._store = store

    def wish_of(self, source: Undistilled) -> Wish | None:
        """Returns the wish of a turn, if it is one that erases something.

        The wish that everything be forgotten counts once it is confirmed, in the same turn or in
        the next one of the session.
        """
        wish = wish_to_forget(source.item.text)
        if wish is None:
            if not is_consent(source.item.text):
                return None
            wish = wish_to_forget(self._said_before(source))
            return wish if wish is not None and wish.scope is Scope.EVERYTHING else None
        if wish.scope is Scope.EVERYTHING and not wish.is_confirmed:
            return None
        return wish

    def forget(self, source: Undistilled, wish: Wish) -> int:
        """Erases what a wish names, and the wish itself; returns the number of items."""
        user_id = self._user_id(source.user)
        if not user_id:
            return 0
        earlier = [
            item
            for item in self._items(user_id)
            if item.created_unix_ms <= source.item.created_unix_ms
        ]
        if wish.scope is Scope.EVERYTHING:
            named = {item.item_id for item in earlier}
            named |= {
                item.item_id
                for item in self._items(user_id)
                if item.turn_id and item.turn_id == source.item.turn_id
            }
        elif wish.scope is Scope.LAST:
            named = {source.item.item_id, *_named_by_the_talk(source.item, earlier)}
        else:
            named = {source.item.item_id}
            for one in wish.about:
                named |= _named_by(one, earlier)
        return self._store.forget_items(user_id, sorted(named))

    def _items(self, user_id: str) -> Iterator[Item]:
        after = None
        while True:
            rows = self._store.slice(user_id, after=after, limit=_PAGE, newest_first=False)
            for _, item in rows:
                yield item
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    def _user_id(self, user: int) -> str:
        with self._store.reading() as connection:
            row = connection.execute("SELECT user_id FROM user WHERE id = ?", (user,)).fetchone()
        return "" if row is None else str(row[0])

    def _said_before(self, source: Undistilled) -> str:
        item = source.item
        if not item.session_id:
            return ""
        with self._store.reading() as connection:
            row = connection.execute(
                "SELECT text FROM item WHERE user = ? AND session_id = ? AND speaker = ?"  # noqa: S608
                f" AND kind = {ITEM_KIND_TURN} AND created_unix_ms <= ? AND item_id <> ?"
                " ORDER BY created_unix_ms DESC, id DESC LIMIT 1",
                (source.user, item.session_id, SPEAKER_USER, item.created_unix_ms, item.item_id),
            ).fetchone()
        return "" if row is None else str(row[0])


def _named_by_the_talk(wish: Item, items: list[Item]) -> set[str]:
    """Returns the ids of what the turn before stated, or else of what the last answer told."""
    talk = [
        item
        for item in items
        if item.kind == ITEM_KIND_TURN and item.session_id and item.session_id == wish.session_id
    ]
    said = [one for one in talk if one.speaker == SPEAKER_USER and one.item_id != wish.item_id]
    answers = [one for one in talk if one.speaker == SPEAKER_ASSISTANT]
    if not said:
        return set()
    if not asks(said[-1].text):
        facts = [one for one in items if one.fact and said[-1].item_id in one.fact.source_item_ids]
        return {said[-1].item_id, *(fact.item_id for fact in facts)}
    answer = answers[-1].text if answers else ""
    told = [one for one in items if one.fact and stands_in(key_of(one.fact.value), answer)]
    sources = {source for one in told if one.fact for source in one.fact.source_item_ids}
    return sources | {one.item_id for one in told} | ({answers[-1].item_id} if told else set())


def _named_by(asked: Asked, items: list[Item]) -> set[str]:
    """Returns the ids of facts, of the turns that state them, and of answers that repeat them."""
    topic = topic_of(asked.words)
    facts = [item for item in items if item.fact and _is_named(asked, topic, _candidate(item))]
    named = {item.item_id for item in facts}
    named |= {source for item in facts if item.fact for source in item.fact.source_item_ids}
    values = {key_of(item.fact.value) for item in facts if item.fact}
    for item in items:
        if item.fact is None and item.speaker == SPEAKER_USER and _states(asked, topic, item.text):
            named.add(item.item_id)
            values |= {
                fact.value_key
                for clause in clauses(item.text)
                for fact in clause.findings
                if isinstance(fact, Candidate) and _is_named(asked, topic, fact)
            }
    told = {value for value in values if len(value) >= _MIN_VALUE_CHARS or not value.isascii()}
    return named | {
        item.item_id
        for item in items
        if item.speaker == SPEAKER_ASSISTANT and any(stands_in(value, item.text) for value in told)
    }


def _candidate(item: Item) -> Candidate | None:
    fact = item.fact
    if fact is None:
        return None
    return Candidate(
        subject=fact.subject,
        attribute=fact.attribute,
        value=fact.value,
        text=item.text,
        confidence=fact.confidence,
    )


def _is_named(asked: Asked, topic: frozenset[str], fact: Candidate | None) -> bool:
    if fact is None:
        return False
    if not asked.attributes:
        return covered(topic, fact.text) == 1.0
    return asked.covers(fact) and (not asked.is_yes_no or covered(topic, fact.value) > 0)


def _states(asked: Asked, topic: frozenset[str], text: str) -> bool:
    """Whether a turn of the person states what is asked about."""
    for clause in clauses(text):
        facts = [finding for finding in clause.findings if isinstance(finding, Candidate)]
        if any(_is_named(asked, topic, fact) for fact in facts):
            return True
        if not asked.attributes and clause.subject and covered(topic, clause.text) == 1.0:
            return True
    return False
