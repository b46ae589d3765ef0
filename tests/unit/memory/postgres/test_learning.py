"""Feedback and forgetting have the same effect on SQLite and PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from anima.memory.v1 import SPEAKER_ASSISTANT, SPEAKER_USER
from memory.facts.decay import DecayMode, Uses, decay
from memory.facts.ledger import FactLedger
from memory.items.item import Item
from memory.postgres.store import PostgresStore
from memory.sqlite.store import Store
from memory.store import Truth
from tests.unit.memory.items import make_item
from text.facts.extraction import findings

DAY_MS = 86_400_000
SAID = (
    "My dog is called Rex.",
    "I live in Graz.",
    "I like tea.",
    "A:Your dog is called Rex.",
    "No, that's wrong, it's Max.",
    "I like opera.",
    "Forget that.",
    "I like snow.",
)


def facts(store: Truth) -> list[Item]:
    rows = store.slice("u", after=None, limit=99, newest_first=False, kinds=[2])
    return [item for _, item in rows]


def learned(store: Truth, how: str) -> tuple[list[Item], list[Item], int]:
    items = [
        replace(
            make_item(f"i{n}", text.removeprefix("A:"), session_id="s", created_unix_ms=DAY_MS + n),
            speaker=SPEAKER_ASSISTANT if text.startswith("A:") else SPEAKER_USER,
        )
        for n, text in enumerate(SAID)
    ]
    store.add("u", items, [None] * len(items), "")
    ledger = FactLedger(store)
    for unread in ledger.undistilled(99):
        found = findings(unread.item.text)
        ledger.apply(unread, found, [None] * len(found), "")
    before = facts(store)
    for times in (1, 2):
        uses = Uses()
        for _ in range(times):
            uses.note("u", [i for i in before if i.text == "I like tea."], 400 * DAY_MS)
        uses.write(store)
    ledger.pin("u", [i.item_id for i in before if i.text == "I like snow."], pinned=True)
    forgotten = decay(store, how=cast(DecayMode, how), half_life_days=100, now_unix_ms=500 * DAY_MS)
    return before, facts(store), forgotten


@pytest.mark.parametrize("how", ["end", "erase"])
def test_both_learn_and_forget_the_same(
    how: str, tmp_path: Path, new_postgres_database: Callable[[], str]
) -> None:
    sqlite = Store(tmp_path, synchronous="normal")
    postgres = PostgresStore(new_postgres_database(), connections=2)
    ours, theirs = learned(sqlite, how), learned(postgres, how)
    assert ours == theirs
    before, after, forgotten = ours
    holding = {i.text for i in before if i.fact and not i.fact.valid_to_unix_ms}
    assert holding == {"My dog is called Max.", "I live in Graz.", "I like tea.", "I like snow."}
    assert forgotten == 1
    left = {i.text for i in after if i.fact and not i.fact.valid_to_unix_ms}
    assert left == holding - {"I live in Graz."}  # a name lasts, tea was used, snow is pinned
    sqlite.close()
    postgres.close()
