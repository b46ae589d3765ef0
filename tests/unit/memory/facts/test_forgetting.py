"""What a person wishes to be forgotten is erased, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from anima.memory.v1 import SPEAKER_ASSISTANT
from memory.facts.forgetting import Forgetter
from memory.facts.ledger import FactLedger
from memory.store import Truth
from tests.unit.memory.items import make_item
from text.facts.extraction import findings


def converse(store: Truth, *turns: str, session: str = "s", start_ms: int = 1_000) -> None:
    """Stores turns a second apart and reads them; "A:" marks those of the digital human."""
    items = []
    for number, text in enumerate(turns):
        item = make_item(
            f"{session}-{number}",
            text.removeprefix("A:"),
            created_unix_ms=start_ms + number * 1_000,
            session_id=session,
        )
        items.append(replace(item, speaker=SPEAKER_ASSISTANT) if text.startswith("A:") else item)
    store.add("u", items, [None] * len(items), "")
    ledger, forgetter = FactLedger(store), Forgetter(store)
    for unread in ledger.undistilled(100):
        if (wish := forgetter.wish_of(unread)) is not None:
            forgetter.forget(unread, wish)
        else:
            found = findings(unread.item.text)
            ledger.apply(unread, found, [None] * len(found), "")


def kept(store: Truth) -> list[str]:
    rows = store.slice("u", after=None, limit=99, newest_first=False)
    return [item.text for _, item in rows]


def test_a_fact_its_turn_and_the_answers_that_repeat_it_are_erased(store: Truth) -> None:
    converse(
        store,
        "I am allergic to shellfish.",
        "A:You told me: you are allergic to shellfish.",
        "I live in Leeds.",
        "Please forget that I am allergic to shellfish.",
    )
    assert sorted(kept(store)) == ["I live in Leeds.", "I live in Leeds."]


@pytest.mark.parametrize(
    ("told", "wish", "other"),
    [
        ("My name is Vera.", "Forget my name.", "I work at Siemens."),
        ("I work at Siemens.", "Delete what you know about my job.", "My name is Vera."),
        ("My dog is called Rex.", "Forget my dog.", "My cat is called Tom."),
        ("我叫陈静。", "请忘记我的名字。", "我住在西安。"),
    ],
)
def test_only_what_is_named_is_erased(store: Truth, told: str, wish: str, other: str) -> None:
    converse(store, told, other, wish)
    assert set(kept(store)) == {
        other,
        *(one.text for one in findings(other) if hasattr(one, "text")),
    }


@pytest.mark.parametrize(
    ("turns", "left"),
    [
        (("I have a dog called Rex.", "A:Thanks.", "Forget that."), {"Thanks."}),
        (("I like tea.", "My name is Vera.", "A:Hm.", "Forget that."), {"I like tea.", "Hm."}),
        (
            (
                "My name is Vera.",
                "A:Hm.",
                "What is my name?",
                "A:Your name is Vera.",
                "Forget that.",
            ),
            {"Hm.", "What is my name?"},
        ),
    ],
)
def test_that_means_what_was_said_or_told_just_before(
    store: Truth, turns: tuple[str, ...], left: set[str]
) -> None:
    converse(store, *turns)
    assert set(kept(store)) == left


@pytest.mark.parametrize("yes", ["Yes.", "OK, do it"])
def test_everything_is_erased_once_it_is_confirmed(store: Truth, yes: str) -> None:
    converse(store, "My name is Ines.", "Forget everything about me.", "A:Shall I really?", yes)
    assert kept(store) == []


def test_everything_is_kept_without_a_yes(store: Truth) -> None:
    converse(store, "My name is Ines.", "Forget everything about me.", "A:Shall I really?", "No.")
    assert "My name is Ines." in kept(store)
    converse(store, "Yes.", session="another", start_ms=90_000)
    assert "My name is Ines." in kept(store)


def test_a_wish_that_is_read_late_spares_what_was_said_after_it(store: Truth) -> None:
    converse(store, "My name is Vera.", session="later", start_ms=50_000)
    converse(store, "My name is Ina.", "Forget my name.", session="earlier", start_ms=1_000)
    assert "My name is Vera." in kept(store)
    assert "My name is Ina." not in kept(store)
