"""How facts start, hold, end and are corrected."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from anima.memory.v1 import ITEM_KIND_FACT, SPEAKER_ASSISTANT
from memory.erasure.chunks import erase_user
from memory.facts.ledger import CORRECTION, FactLedger, corrected
from memory.items.item import Item
from memory.sqlite.store import Store
from tests.unit.memory.items import make_item
from text.facts.extraction import EXTRACTOR, findings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, synchronous="normal")
    yield store
    store.close()


def hear(store: Store, *said: str, start_ms: int = 1_000, user: str = "u") -> None:
    """Stores turns of a person, a second apart, and extracts their facts."""
    items = [
        make_item(f"{user}{start_ms}-{n}", text, created_unix_ms=start_ms + n, session_id="s")
        for n, text in enumerate(said)
    ]
    items = [
        replace(item, text=item.text[2:], speaker=SPEAKER_ASSISTANT)
        if item.text.startswith("A:")
        else item
        for item in items
    ]
    store.add(user, items, [None] * len(items), "")
    distil(store)


def distil(store: Store) -> int:
    ledger = FactLedger(store)
    unread = ledger.undistilled(100)
    for item in unread:
        found = findings(item.item.text)
        ledger.apply(item, found, [None] * len(found), "")
    return len(unread)


def facts(store: Store, user: str = "u") -> list[Item]:
    rows = store.slice(user, after=None, limit=99, newest_first=False, kinds=[ITEM_KIND_FACT])
    return [item for _, item in rows]


def holding(store: Store, user: str = "u") -> list[str]:
    return sorted(i.text for i in facts(store, user) if i.fact and not i.fact.valid_to_unix_ms)


def test_a_fact_knows_where_it_comes_from(store: Store) -> None:
    hear(store, "Hello, my name is Ada.")
    (item,) = facts(store)
    assert item.fact is not None
    assert item.text == "My name is Ada."
    assert item.fact.source_item_ids == ("u1000-0",)
    assert (item.fact.valid_from_unix_ms, item.fact.valid_to_unix_ms) == (1_000, 0)
    assert item.fact.extractor == EXTRACTOR


def test_a_new_value_ends_the_old_one_and_keeps_it(store: Store) -> None:
    hear(store, "I live in Graz", "It rains", "Actually I moved to Vienna")
    old, new = facts(store)
    assert old.fact is not None
    assert (old.text, old.fact.valid_to_unix_ms) == ("I live in Graz.", 1_002)
    assert old.fact.superseded_by == new.item_id
    assert holding(store) == ["I live in Vienna."]


def test_what_was_said_earlier_but_stored_later_does_not_end_what_holds(store: Store) -> None:
    hear(store, "I live in Vienna", start_ms=9_000)
    hear(store, "I live in Graz", start_ms=2_000)
    assert holding(store) == ["I live in Vienna."]


def test_the_same_again_confirms(store: Store) -> None:
    hear(store, "I like tea", "I like tea")
    (item,) = facts(store)
    assert item.fact is not None
    assert item.fact.source_item_ids == ("u1000-0", "u1000-1")
    assert item.fact.confidence > 0.8


def test_several_likes_stand_beside_each_other_until_one_is_disliked(store: Store) -> None:
    hear(store, "I like tea", "I like snow", "I don't like tea")
    assert holding(store) == ["I do not like tea.", "I like snow."]


def test_endings_replacements_and_denials(store: Store) -> None:
    hear(store, "My dog is called Rex", "I live in Graz", "I like snow")
    hear(store, "I no longer live in Graz", start_ms=2_000)
    assert holding(store) == ["I like snow.", "My dog is called Rex."]
    hear(store, "It's Max, not Rex", start_ms=3_000)
    assert holding(store) == ["I like snow.", "My dog is called Max."]
    hear(store, "A:Your dog is called Max.", "No, that is wrong.", start_ms=4_000)
    assert holding(store) == ["I like snow."]


def test_a_denial_ends_nothing_that_the_answer_did_not_say(store: Store) -> None:
    hear(store, "My dog is called Max", "A:The maximum is ten.", "No, that is wrong.")
    assert holding(store) == ["My dog is called Max."]


def test_what_is_right_takes_the_place_of_what_the_answer_said(store: Store) -> None:
    hear(store, "My dog is called Rex", "I live in Graz")
    hear(store, "A:Your dog is called Rex.", "No, that's wrong, it's Max.", start_ms=2_000)
    assert holding(store) == ["I live in Graz.", "My dog is called Max."]
    hear(store, "A:Max lives with you in Graz.", "No, it's Linz.", start_ms=3_000)
    assert holding(store) == ["I live in Graz.", "My dog is called Max."]  # which of the two?


def test_forget_that_means_what_was_just_told(store: Store) -> None:
    hear(store, "I like tea", "A:I see.", "I hate snow", "A:Noted.", "Forget that.")
    assert holding(store) == ["I like tea."]


def test_a_denial_that_is_read_again_does_not_end_what_was_told_later(store: Store) -> None:
    hear(store, "My dog is called Rex", "A:Your dog is called Rex.", "No, that is wrong.")
    hear(store, "My dog is called Rex", start_ms=5_000)
    assert holding(store) == ["My dog is called Rex."]
    with store.transaction() as connection:
        connection.execute("UPDATE distillation SET extractor = 'rules-0'")
    distil(store)
    assert holding(store) == ["My dog is called Rex."]


def test_reading_again_changes_nothing(store: Store) -> None:
    hear(store, "My name is Ada", "My name is Eve")
    before = facts(store)
    assert distil(store) == 0
    with store.transaction() as connection:
        connection.execute("UPDATE distillation SET extractor = 'rules-0'")
    assert distil(store) == 2
    assert [item.item_id for item in facts(store)] == [item.item_id for item in before]


def test_answers_are_not_read(store: Store) -> None:
    hear(store, "A:My name is Anima")
    assert facts(store) == []


def test_a_fact_goes_with_its_last_source(store: Store) -> None:
    hear(store, "I like tea", "I like tea", "I like snow")
    store.forget_items("u", ["u1000-0"])
    assert holding(store) == ["I like snow.", "I like tea."]
    store.forget_items("u", ["u1000-1"])
    assert holding(store) == ["I like snow."]


def test_what_is_erased_before_it_is_read_leaves_nothing(store: Store) -> None:
    store.add("u", [make_item("a", "My name is Ada")], [None], "")
    ledger = FactLedger(store)
    (unread,) = ledger.undistilled(10)
    erase_user(store, "u")
    found = findings(unread.item.text)
    ledger.apply(unread, found, [None] * len(found), "")
    assert facts(store) == []


def test_users_do_not_end_each_others_facts(store: Store) -> None:
    hear(store, "I live in Graz", user="u")
    hear(store, "I live in Vienna", user="v")
    assert (holding(store, "u"), holding(store, "v")) == (
        ["I live in Graz."],
        ["I live in Vienna."],
    )


def test_a_correction_takes_the_place_and_is_sure(store: Store) -> None:
    hear(store, "My dog is called Rex")
    (wrong,) = facts(store)
    ledger = FactLedger(store)
    ledger.correct("u", wrong, corrected(wrong, "Max"), None, "")
    assert holding(store) == ["My dog is called Max."]
    right = facts(store)[1]
    assert right.fact is not None
    assert (right.fact.extractor, right.fact.confidence) == (CORRECTION, 1.0)
    ended = ledger.fact("u", wrong.item_id)
    assert ended is not None
    assert ended.fact is not None
    assert ended.fact.superseded_by == right.item_id
    assert ledger.fact("v", wrong.item_id) is None


def test_only_facts_of_the_user_are_pinned(store: Store) -> None:
    hear(store, "My name is Ada")
    (item,) = facts(store)
    ledger = FactLedger(store)
    assert ledger.pin("v", [item.item_id], pinned=True) == 0
    assert ledger.pin("u", [item.item_id, "u1000-0"], pinned=True) == 1
    (item,) = facts(store)
    assert item.fact is not None
    assert item.fact.pinned
