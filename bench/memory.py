"""Measures Remember and Recall of the memory service over gRPC, and the encoder alone.

Service and caller run in this process on loopback, on one core, with the encoder of the model store
if there is one. Each recall is followed by the same query through the encoder alone, so that both
run under the same load.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from anima.memory import v1 as wire
from bench.recalling import languages, turns
from memory.items.item import Item
from memory.servicer import build
from memory.settings import MemorySettings
from memory.sqlite.store import Store
from retrieval.embedding import Embedder
from retrieval.encoders import DEFAULT_ENCODER, installed_encoder
from services.runtime.calls.channels import open_channel
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import AnimaError
from services.runtime.models.store import ModelStore
from services.runtime.server import serving
from text.facts.extraction import EXTRACTOR

if TYPE_CHECKING:
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

SIZES = (100, 1_000, 10_000)
EMBEDDED_TEXTS = 300
WORDS_PER_TEXT = 20
# Natural questions: made-up words would be split into many more tokens than real ones.
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
GOAL_SIZE, GOAL_P50_MS, GOAL_P99_MS = 10_000, 8.0, 20.0
Vectors = NDArray[np.float32]


def question(number: int) -> str:
    """Returns a question that was not asked before, because vectors of questions are cached."""
    return f"{QUESTIONS[number % len(QUESTIONS)][:-1]} in {1000 + number}?"


def sentences(count: int, random: np.random.Generator) -> list[str]:
    """Returns texts whose words are as unequally frequent as those of a language."""
    syllables = ["ba", "ke", "li", "mo", "nu", "ra", "si", "to", "ve", "zu", "da", "fi"]
    words = ["".join(parts) for parts in itertools.product(syllables, repeat=3)]
    frequency = 1 / np.arange(1, len(words) + 1)
    frequency /= frequency.sum()
    return [
        "I said " + " ".join(random.choice(words, WORDS_PER_TEXT, p=frequency))
        for _ in range(count)
    ]


def vectors_like(known: Vectors, count: int, random: np.random.Generator) -> Vectors:
    """Returns vectors near real ones; embedding ten thousand texts takes longer than measuring."""
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
        # Marked as distilled: distilling all of them meanwhile would affect the measured recalls.
        store.add("u", items, held, model_id, distilled_by=EXTRACTOR)
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
    queries = [question(number) for number in range(calls)]
    vectors = None if known is None else vectors_like(known, size, random)
    fill(data_dir / "memory", texts, vectors, "" if embedder is None else embedder.model_id)
    settings = MemorySettings(listen="127.0.0.1:0", data_dir=data_dir)
    async with serving(build(settings), settings) as server:
        await server.ready
        async with open_channel(server.address) as channel:
            memory = cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(channel))
            cold, recalled, embedded = await recall_times(memory, queries, embedder)
            remembered = await remember_times(memory, sentences(2 * calls, random))
    print(
        f"{size:7,} {shown(remembered)}   {shown([t.wall for t in recalled])} {cold:9.1f}     "
        + (shown([taken.wall for taken in embedded]) if embedded else "      none")
    )
    if size == GOAL_SIZE and embedded:
        print(verdict(recalled, embedded))


@dataclass(frozen=True, slots=True)
class Taken:
    """How long a call took, ms."""

    wall: float
    cpu: float


def verdict(recalled: list[Taken], embedded: list[Taken]) -> str:
    p50, p99 = np.percentile([taken.wall for taken in recalled], (50, 99))
    met = p50 < GOAL_P50_MS and p99 < GOAL_P99_MS
    return (
        f"goal at {GOAL_SIZE:,}: p50 < {GOAL_P50_MS:.0f} and p99 < {GOAL_P99_MS:.0f} ms:"
        f" {'met' if met else 'NOT met'} (load {os.getloadavg()[0]:.1f}); of CPU time a recall, its"
        f" caller included, takes {np.median([taken.cpu for taken in recalled]):.1f} ms, the"
        f" encoder alone {np.median([taken.cpu for taken in embedded]):.1f} ms"
    )


async def taken_by(call: Awaitable[object]) -> Taken:
    wall, cpu = time.perf_counter(), time.process_time()
    await call
    return Taken((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000)


async def recall_times(
    memory: MemoryServiceAsyncStub, queries: list[str], embedder: Embedder | None
) -> tuple[float, list[Taken], list[Taken]]:
    async def recall(query: str) -> None:
        await memory.Recall(wire.RecallRequest(user_id="u", query=query))

    async def embed(query: str) -> None:
        if embedder is not None:
            embedder.embed([query])

    recalled, embedded = [], []
    for query in (question(len(queries)), *queries):
        recalled.append(await taken_by(recall(query)))
        if embedder is not None:
            embedded.append(await taken_by(embed(query)))
    return recalled[0].wall, recalled[1:], embedded[1:]


async def remember_times(memory: MemoryServiceAsyncStub, texts: list[str]) -> list[float]:
    async def remember(number: int) -> None:
        pair = texts[2 * number : 2 * number + 2]
        items = [wire.Item(text=text, session_id="now") for text in pair]
        await memory.Remember(wire.RememberRequest(user_id="u", items=items))

    return await timed_ms(len(texts) // 2, remember)


def encoder_folder(models: Path) -> Path:
    """Returns the folder of the encoder that a memory with default settings uses."""
    return installed_encoder(ModelStore(models), DEFAULT_ENCODER)[1]


def bench(calls: int, sizes: Sequence[int]) -> None:
    models = ServiceSettings.from_environment().data_dir / "models"
    embedder: Embedder | None = None
    known: Vectors | None = None
    try:
        embedder = Embedder(encoder_folder(models))
        known = embedder.embed(sentences(EMBEDDED_TEXTS, np.random.default_rng(0)))
    except AnimaError as error:
        print(f"by words alone: {error.message}")
    print(f"{calls} sequential calls; Remember stores two turns; p50 / p99 in ms")
    print("  items        Remember             Recall  first, ms     encoder alone")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            if models.is_dir():
                (Path(folder) / "models").symlink_to(models, target_is_directory=True)
            asyncio.run(measure(Path(folder), size, calls, embedder, known))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100, help="calls of each kind")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="items of the user")
    parser.add_argument("--conversations", type=Path, help="a file for bench.recalling.turns")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    bench(arguments.calls, arguments.sizes)
    if arguments.conversations is not None:
        models = ServiceSettings.from_environment().data_dir / "models"
        turns.bench(arguments.conversations, Embedder(encoder_folder(models)))
        languages.main()


if __name__ == "__main__":
    main()
