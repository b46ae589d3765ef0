"""Measures Remember and Recall of the memory service over gRPC, beside plain numpy in one process.

The service runs in this process on loopback, with the encoder of the model store if it is there.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from anima.memory import v1 as wire
from bench import recall
from memory.item import Item
from memory.servicer import build
from memory.settings import MemorySettings
from memory.store import Store
from retrieval.embedding import Embedder
from services.runtime.channels import open_channel
from services.runtime.errors import AnimaError
from services.runtime.model_store import ModelStore
from services.runtime.server import serving
from services.runtime.settings import ServiceSettings

if TYPE_CHECKING:
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

SIZES = (100, 1_000, 10_000)
EMBEDDED_TEXTS = 300
WORDS_PER_TEXT = 20
# As people ask: made-up words would be cut into many more tokens than real ones.
QUESTIONS = (
    "What is the name of my dog?",
    "Where did I say that I want to travel next year?",
    "Which restaurant did we talk about last week?",
    "When is my sister's birthday?",
    "Do you remember what I am allergic to?",
    "What was the book that you recommended to me?",
    "How long have I been learning the cello?",
    "Who did I meet at the conference in Vienna?",
)
Vectors = NDArray[np.float32]


def sentences(count: int, random: np.random.Generator) -> list[str]:
    """Texts of words that are as unequally frequent as those of a language."""
    syllables = ["ba", "ke", "li", "mo", "nu", "ra", "si", "to", "ve", "zu", "da", "fi"]
    words = ["".join(parts) for parts in itertools.product(syllables, repeat=3)]
    frequency = 1 / np.arange(1, len(words) + 1)
    frequency /= frequency.sum()
    return [
        "I said " + " ".join(random.choice(words, WORDS_PER_TEXT, p=frequency))
        for _ in range(count)
    ]


def vectors_like(known: Vectors, count: int, random: np.random.Generator) -> Vectors:
    """Vectors near real ones, since embedding ten thousand texts takes longer than measuring."""
    noise = random.standard_normal((count, known.shape[1])).astype(np.float32) * 0.02
    vectors = known[random.integers(0, len(known), count)] + noise
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def fill(folder: Path, texts: list[str], vectors: Vectors | None, model_id: str) -> None:
    store = Store(folder, synchronous="normal")
    for start in range(0, len(texts), 500):
        batch = range(start, min(start + 500, len(texts)))
        items = [
            Item(
                item_id=f"i{n}",
                kind=wire.ITEM_KIND_TURN,
                speaker=wire.SPEAKER_USER,
                text=texts[n],
                session_id=f"s{n // 40}",
                turn_id="",
                created_unix_ms=n + 1,
            )
            for n in batch
        ]
        held = [None if vectors is None else vectors[n] for n in batch]
        store.add("u", items, held, model_id)
    store.close()


async def timed_ms(calls: int, call: Callable[[int], Awaitable[object]]) -> list[float]:
    taken = []
    for number in range(calls):
        start = time.perf_counter()
        await call(number)
        taken.append((time.perf_counter() - start) * 1000)
    return taken


def shown(taken: list[float]) -> str:
    return f"{np.percentile(taken, 50):7.2f} /{np.percentile(taken, 99):7.2f}"


async def measure(
    data_dir: Path, size: int, calls: int, embedder: Embedder | None, known: Vectors | None
) -> None:
    random = np.random.default_rng(size)
    texts = sentences(size, random)
    queries = [QUESTIONS[number % len(QUESTIONS)] for number in range(calls)]
    vectors = None if known is None else vectors_like(known, size, random)
    fill(data_dir / "memory", texts, vectors, "" if embedder is None else embedder.model_id)
    settings = MemorySettings(listen="127.0.0.1:0", data_dir=data_dir)
    async with serving(build(settings), settings) as server:
        await server.ready
        async with open_channel(server.address) as channel:
            memory = cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(channel))
            cold, recalled = await recall_times(memory, queries)
            remembered = await remember_times(memory, sentences(2 * calls, random))
    line = f"{size:7,} {shown(remembered)}   {shown(recalled)} {cold:9.1f}  "
    if embedder is not None and vectors is not None:
        line += f" {shown(await numpy_times(embedder, vectors, queries))}"
    print(line)


async def recall_times(
    memory: MemoryServiceAsyncStub, queries: list[str]
) -> tuple[float, list[float]]:
    async def recall(number: int) -> None:
        await memory.Recall(wire.RecallRequest(user_id="u", query=queries[number]))

    (cold,) = await timed_ms(1, recall)
    return cold, await timed_ms(len(queries), recall)


async def remember_times(memory: MemoryServiceAsyncStub, texts: list[str]) -> list[float]:
    async def remember(number: int) -> None:
        pair = texts[2 * number : 2 * number + 2]
        items = [wire.Item(text=text, session_id="now") for text in pair]
        await memory.Remember(wire.RememberRequest(user_id="u", items=items))

    return await timed_ms(len(texts) // 2, remember)


async def numpy_times(embedder: Embedder, vectors: Vectors, queries: list[str]) -> list[float]:
    async def search(number: int) -> None:
        scores = vectors @ embedder.embed([queries[number]])[0]
        np.argsort(-scores)[:5]

    return await timed_ms(len(queries), search)


def bench(calls: int) -> None:
    models = ServiceSettings.from_environment().data_dir / "models"
    embedder: Embedder | None = None
    known: Vectors | None = None
    try:
        embedder = Embedder(ModelStore(models).path("minilm-l6-v2"))
        known = embedder.embed(sentences(EMBEDDED_TEXTS, np.random.default_rng(0)))
    except AnimaError as error:
        print(f"by words alone: {error.message}")
    print(f"{calls} calls one after the other; Remember stores two turns; p50 / p99 in ms")
    print("  items        Remember             Recall  first, ms     numpy, in process")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            if models.is_dir():
                (Path(folder) / "models").symlink_to(models, target_is_directory=True)
            asyncio.run(measure(Path(folder), size, calls, embedder, known))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100, help="how often each call is measured")
    parser.add_argument("--conversations", type=Path, help="a file as bench.recall takes it")
    arguments = parser.parse_args()
    bench(arguments.calls)
    if arguments.conversations is not None:
        models = ServiceSettings.from_environment().data_dir / "models"
        recall.bench(arguments.conversations, Embedder(ModelStore(models).path("minilm-l6-v2")))


if __name__ == "__main__":
    main()
