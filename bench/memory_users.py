"""Fills one store with very many users and measures the cost of Remember and Recall for them.

The items are written through the store itself, with made-up vectors. The measured code runs in its
own process, so that its memory does not include that of the filling.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from anima.memory.v1 import ITEM_KIND_TURN, SPEAKER_USER
from bench.memory import question, sentences, shown
from memory.items.item import Item
from memory.settings import MemorySettings
from memory.sqlite.engine import SqliteMemory
from memory.sqlite.store import Store
from retrieval.embedding import Embedder
from retrieval.encoders import DEFAULT_ENCODER
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore
from text.facts.extraction import EXTRACTOR

MIB = 1024 * 1024
TEXTS = 5_000
# Memory of the process apart from the indexes: the encoder's scratch memory, database pages.
OTHER_BYTES = 128 * MIB


def fill(folder: Path, users: int, items_per_user: int, model_id: str, dimensions: int) -> float:
    random = np.random.default_rng(0)
    texts = sentences(TEXTS, random)
    vectors = random.standard_normal((TEXTS, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store = Store(folder, synchronous="normal")
    start = time.perf_counter()
    for user in range(users):
        chosen = random.integers(0, TEXTS, items_per_user).tolist()
        items = [
            Item(
                item_id=f"i{number}",
                kind=ITEM_KIND_TURN,
                speaker=SPEAKER_USER,
                text=texts[text],
                session_id="s",
                turn_id="",
                created_unix_ms=number + 1,
            )
            for number, text in enumerate(chosen)
        ]
        held = [vectors[text] for text in chosen]
        store.add(f"user{user}", items, held, model_id, distilled_by=EXTRACTOR)
    store.close()
    return time.perf_counter() - start


async def measure(data_dir: Path, users: int, recalls: int, cache_bytes: int) -> None:
    process = psutil.Process()
    engine = SqliteMemory(MemorySettings(data_dir=data_dir, index_cache_bytes=cache_bytes))
    start = time.perf_counter()
    await engine.open()
    opened_s, before = time.perf_counter() - start, process.memory_info().rss
    chosen = np.random.default_rng(1).integers(0, users, recalls).tolist()
    taken = []
    for number, user in enumerate(chosen):
        start = time.perf_counter()
        found = await engine.recall(
            f"user{user}",
            f"I said: {question(number)}",  # as every item begins
            max_items=5,
            min_score=0.0,
            exclude_session_id="",
        )
        taken.append((time.perf_counter() - start) * 1000)
        if not found.items:
            raise SystemExit(f"user{user} has items, but none was found")
    grown = process.memory_info().rss - before
    start = time.perf_counter()
    await engine.forget_everything(f"user{chosen[0]}")
    forgotten_s = time.perf_counter() - start
    await engine.close()
    bounded = grown < cache_bytes + OTHER_BYTES
    print(
        f"opened in {opened_s:.1f} s, its pages checked, with {before / MIB:.0f} MiB\n"
        f"{recalls:,} recalls of random users, their indexes rebuilt: {shown(taken)} ms p50 / p99"
        f"\nmemory grew by {grown / MIB:.0f} MiB, {cache_bytes / MIB:.0f} MiB are for indexes:"
        f" {'bounded' if bounded else 'NOT bounded'}\none user erased in {forgotten_s:.1f} s"
    )


def measure_in_this_process(data_dir: Path, users: int, recalls: int, cache_bytes: int) -> None:
    asyncio.run(measure(data_dir, users, recalls, cache_bytes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=3, help="items of each user")
    parser.add_argument("--recalls", type=int, default=5_000)
    parser.add_argument("--cache-mib", type=int, default=64, help="the bound of the indexes")
    arguments = parser.parse_args()
    models = ServiceSettings.from_environment().data_dir / "models"
    embedder = Embedder(ModelStore(models).path(DEFAULT_ENCODER))
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        (data_dir / "models").symlink_to(models, target_is_directory=True)
        taken_s = fill(
            data_dir / "memory",
            arguments.users,
            arguments.items,
            embedder.model_id,
            embedder.dimensions,
        )
        size = (data_dir / "memory" / "memory.db").stat().st_size
        print(
            f"{arguments.users:,} users with {arguments.items} items each written in {taken_s:.0f}"
            f" s, {taken_s / arguments.users * 1000:.2f} ms a user; {size / MIB:.0f} MiB on disk"
        )
        measured = multiprocessing.get_context("spawn").Process(
            target=measure_in_this_process,
            args=(data_dir, arguments.users, arguments.recalls, arguments.cache_mib * MIB),
        )
        measured.start()
        measured.join()
    raise SystemExit(measured.exitcode)


if __name__ == "__main__":
    main()
