"""One item at which background work fails holds up neither other items nor other users."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from anima.memory.v1 import ITEM_KIND_FACT
from memory.facts import distiller
from memory.facts.distiller import Distiller
from memory.facts.forgetting import Forgetter
from memory.facts.ledger import FactLedger
from memory.reflection import job as reflection
from memory.reflection.sentences import by_sentences
from memory.search.re_embedding import Pending, ReEmbedding
from memory.service import metrics
from memory.service.attempts import Attempts
from memory.store import Truth
from services.runtime.errors import Unavailable
from services.runtime.process.compute import Compute
from tests.unit.memory.items import MODEL_ID, WordEmbedder, make_item
from tests.unit.memory.reflection.talks import (
    CELLO,
    GARDEN,
    MAY_3,
    hear,
    reflecting,
    summaries,
    talk,
)
from text.facts.extraction import findings

POISON = "I like poison."


class PoisonError(Exception):
    pass


class Reader:
    """Reads facts as the rules do, but for some texts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails: Any) -> None:
        self.attempts: list[str] = []

        def reading(text: str) -> Any:
            self.attempts.append(text)
            if fails(text):
                raise PoisonError(text)
            return findings(text)

        monkeypatch.setattr(distiller, "findings", reading)


@asynccontextmanager
async def distilling(store: Truth) -> AsyncIterator[Distiller]:
    reading, writing = Compute(threads=1, name="reading"), Compute(threads=1, name="writing")
    job = Distiller(
        FactLedger(store),
        Forgetter(store),
        embedder=None,
        model_id="",
        reading=reading,
        writing=writing,
    )
    yield job
    await job.stop()
    reading.close()
    writing.close()


def facts(store: Truth, user: str) -> list[str]:
    rows = store.slice(user, after=None, limit=99, newest_first=False, kinds=[ITEM_KIND_FACT])
    return [item.text for _, item in rows]


def set_aside(work: str) -> float:
    value: float = metrics.SET_ASIDE.labels(work)._value.get()
    return value


def say(store: Truth, user: str, *texts: str) -> None:
    items = [make_item(f"{user}-{text}"[:60], text) for text in texts]
    store.add(user, items, [None] * len(items), "")


async def test_item_that_cannot_be_read_is_set_aside_after_three_attempts(
    store: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(monkeypatch, lambda text: text == POISON)
    before = set_aside("facts")
    say(store, "ada", POISON, "I like tea.")
    say(store, "eve", "I like snow.")
    async with distilling(store) as job:
        assert await job.distil_all() is False
        assert facts(store, "ada") == ["I like tea."]
        assert facts(store, "eve") == ["I like snow."]
        for text in ("I like cats.", "I like dogs.", "I like fish."):
            say(store, "eve", text)
            await job.distil_all()
    assert reader.attempts.count(POISON) == 3
    assert set_aside("facts") == before + 1
    assert facts(store, "eve") == [f"I like {what}." for what in ("snow", "cats", "dogs", "fish")]
    # It stays counted for the next service, and other rules try it again.
    async with distilling(store) as job:
        assert await job.distil_all() is True
    assert reader.attempts.count(POISON) == 3
    other = Attempts(store, "facts", "rules-99")
    assert other.set_aside() == set()
    assert len(FactLedger(store).attempts.set_aside()) == 1


async def test_service_goes_on_behind_an_item_that_cannot_be_read(
    store: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    Reader(monkeypatch, lambda text: text == POISON)
    say(store, "ada", POISON, "I like tea.")
    async with distilling(store) as job:
        job.start()
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(facts, store, "ada"):
                pass
        say(store, "eve", "I like snow.")
        job.wake()
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(facts, store, "eve"):
                pass


async def test_where_everything_fails_nothing_is_set_aside(
    store: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = True
    reader = Reader(monkeypatch, lambda _: broken)
    texts = [f"I like tea number {n}." for n in range(40)]
    say(store, "ada", *texts)
    async with distilling(store) as job:
        for _ in range(5):
            with pytest.raises(Exception, match="the first 10 attempts have failed"):
                await job.distil_all()
        assert len(reader.attempts) == 50
        broken = False
        assert await job.distil_all() is True
    assert len(facts(store, "ada")) == 40


@pytest.mark.parametrize(
    "problem", [sqlite3.OperationalError("database or disk is full"), Unavailable("is away")]
)
async def test_failure_of_the_database_is_not_the_fault_of_an_item(
    store: Truth, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    say(store, "ada", "I like tea.")
    apply = FactLedger.apply

    def fail(*_: Any) -> None:
        raise problem

    async with distilling(store) as job:
        with monkeypatch.context() as patched:
            patched.setattr(FactLedger, "apply", fail)
            for _ in range(5):
                with pytest.raises(type(problem)):
                    await job.distil_all()
        assert FactLedger.apply is apply
        assert await job.distil_all() is True
    assert facts(store, "ada") == ["I like tea."]


async def test_talk_that_cannot_be_condensed_holds_up_no_other(
    store: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = (POISON, *GARDEN[1:])
    attempts = 0

    def condensing(turns: Any, embed: Any) -> Any:
        nonlocal attempts
        if any(turn.text == POISON for turn in turns):
            attempts += 1
            raise PoisonError
        return by_sentences(turns, embed)

    monkeypatch.setattr(reflection, "by_sentences", condensing)
    before = set_aside("summaries")
    hear(store, talk("p", poison, day=MAY_3, session="a poisoned one"))
    hear(store, talk("c", CELLO, day=MAY_3, session="one"))
    hear(store, talk("d", GARDEN, day=MAY_3, session="two"), "v")
    hear(store, talk("e", CELLO, day=MAY_3 + 1, session="three"), "v")
    with reflecting(store, day=MAY_3 + 40) as job:
        assert await job.reflect() == 3
        assert (len(summaries(store)), len(summaries(store, "v"))) == (1, 2)
        for _ in range(5):
            assert await job.reflect() == 0
    assert attempts == 3
    assert set_aside("summaries") == before + len(poison)


async def test_item_that_cannot_be_embedded_holds_up_no_other(store: Truth) -> None:
    attempts = 0

    class Encoder(WordEmbedder):
        tokenizer_json = None

        def embed(self, texts: Any) -> Any:
            nonlocal attempts
            if POISON in texts:
                attempts += len(texts) == 1
                raise PoisonError
            return super().embed(texts)

        def embed_query(self, text: str) -> Any:
            return self.embed([text])[0]

    before = set_aside("vectors")
    say(store, "ada", "I like tea.", POISON, *(f"I like tea number {n}." for n in range(100)))
    say(store, "eve", "I like snow.")
    compute = Compute(threads=1, name="test")
    for _ in range(5):
        await ReEmbedding(store, Encoder(), Pending(), reading=compute, writing=compute).run()
    compute.close()
    for user, without in (("ada", 1), ("eve", 0)):
        state = store.user_state(user)
        assert state is not None
        rows = store.index_rows(state, 0, MODEL_ID)
        assert sum(row.vector is None for row in rows) == without
    assert attempts == 3
    assert set_aside("vectors") == before + 1


def test_counts_go_with_the_item(store: Truth, tmp_path: Path) -> None:
    say(store, "ada", POISON)
    attempts = Attempts(store, "facts", "rules")
    (unread,) = FactLedger(store).undistilled(9)
    assert [attempts.count([unread.row_id]) for _ in range(3)] == [1, 2, 3]
    assert Attempts(store, "facts", "others").count([unread.row_id]) == 1
    assert Attempts(store, "summaries", "rules").count([unread.row_id]) == 1
    store.forget_items("ada", [unread.item.item_id])
    assert attempts.count([unread.row_id]) == 0
    with store.reading() as connection:
        assert connection.execute("SELECT count(*) FROM work_failure").fetchone()[0] == 0
