"""Several memory services over one database of PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from memory.postgres.engine import PostgresMemory
from memory.settings import MemorySettings
from services.runtime.config.settings import SettingsError
from services.runtime.errors import Unavailable
from tests.postgres import Server
from tests.unit.memory.items import make_item

NewDatabase = Callable[[], str]


@asynccontextmanager
async def replica(address: str, data_dir: Path) -> AsyncIterator[PostgresMemory]:
    engine = PostgresMemory(
        MemorySettings(
            engine="postgres", postgres=address, data_dir=data_dir, embedding_model="none"
        )
    )
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close()


async def recalled(engine: PostgresMemory, user: str, query: str) -> list[str]:
    found = await engine.recall(user, query, max_items=9, min_score=0.0, exclude_session_id="")
    return [one.item.item_id for one in found.items]


async def test_what_one_replica_stored_the_other_finds_at_once(
    new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    address = new_postgres_database()
    # Both create the tables at the same time.
    async with replica(address, tmp_path) as one, replica(address, tmp_path) as two:
        for number in range(10):
            writer, reader = (one, two) if number % 2 else (two, one)
            item = make_item(f"i{number}", f"my secret word is zebra{number}")
            await writer.remember("u", [item])
            assert (await recalled(reader, "u", f"my zebra{number}"))[0] == f"i{number}"
        assert await recalled(two, "other", "my zebra1") == []
        await one.forget_items("u", ["i3"])
        assert "i3" not in await recalled(two, "u", "my zebra3")
        await two.forget_everything("u")
        assert await recalled(one, "u", "my zebra4") == []


async def test_replicas_that_write_at_the_same_time_lose_and_miss_nothing(
    new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    address = new_postgres_database()
    async with replica(address, tmp_path) as one, replica(address, tmp_path) as two:

        async def write(engine: PostgresMemory, name: str) -> None:
            for number in range(15):
                await engine.remember("u", [make_item(f"{name}{number}", f"my zebra {name}")])
                assert f"{name}{number}" in [i.item_id async for i in engine.export("u")]
                # The index adds new items: nothing that was written meanwhile may be skipped.
                await recalled(engine, "u", "my zebra")

        await asyncio.gather(
            *(write(e, f"{n}{w}-") for n, e in enumerate((one, two)) for w in "ab")
        )
        for engine in (one, two):
            for name in ("0a-", "0b-", "1a-", "1b-"):
                found = await engine.recall(
                    "u", f"my zebra {name}", max_items=50, min_score=0.0, exclude_session_id=""
                )
                written = {f"{name}{number}" for number in range(15)}
                assert written <= {one.item.item_id for one in found.items}


async def test_facts_are_read_once_by_whichever_replica(
    new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    address = new_postgres_database()
    async with replica(address, tmp_path) as one, replica(address, tmp_path) as two:
        # The facts of items as old as those of other tests are forgotten when a replica starts.
        now_unix_ms = time.time_ns() // 1_000_000
        for number, engine in enumerate((one, two)):
            item = make_item(f"i{number}", "My dog is called Rex.", created_unix_ms=now_unix_ms)
            await engine.remember("u", [item])
        async with asyncio.timeout(90):
            while True:
                items = [item async for item in one.export("u")]
                facts = [item for item in items if item.fact is not None]
                if facts and all(f.fact and len(f.fact.source_item_ids) == 2 for f in facts):
                    break
        assert {f.fact.value for f in facts if f.fact} == {"Rex"}
        assert len({item.item_id for item in facts}) == len(facts)


async def test_a_server_that_went_away_is_named_and_used_again_when_it_is_back(
    new_postgres_database: NewDatabase, postgres_server: Server, tmp_path: Path
) -> None:
    async with replica(new_postgres_database(), tmp_path) as engine:
        await engine.remember("u", [make_item("a", "my zebra")])
        postgres_server.stop()
        try:
            with pytest.raises(Unavailable, match=r"postgresql://.* does not answer"):
                await engine.remember("u", [make_item("b", "my zebra")])
        finally:
            postgres_server.start()
        await engine.remember("u", [make_item("c", "my zebra")])
        assert sorted(await recalled(engine, "u", "my zebra")) == ["a", "c"]


async def test_a_server_that_is_not_there_ends_the_start_without_telling_the_password(
    tmp_path: Path,
) -> None:
    address = "postgresql://anima:hush@127.0.0.1:1/memory"
    with pytest.raises(SettingsError, match=r"ANIMA_MEMORY_POSTGRES: .*127\.0\.0\.1:1/memory") as e:
        async with replica(address, tmp_path):
            pass
    assert "hush" not in str(e.value)


def test_the_engine_needs_an_address() -> None:
    with pytest.raises(ValueError, match="ANIMA_MEMORY_POSTGRES"):
        MemorySettings(engine="postgres")
    assert "hush" not in repr(MemorySettings(postgres="postgresql://a:hush@b/c"))
