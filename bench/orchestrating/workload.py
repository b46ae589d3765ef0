"""The workload of `bench-orchestration`, for our gateway and the other frameworks.

A model with a token every 20 ms, 60 of them in five sentences; a voice that needs 100 ms for the
first audio of a sentence and then sends 3 s of it at once. This module uses only the standard
library, because the environments of other frameworks import it too.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Final

TOKEN_S: Final = 0.02
SENTENCES: Final = 5
TOKENS_PER_SENTENCE: Final = 12
FIRST_AUDIO_S: Final = 0.1
SENTENCE_S: Final = 3.0
RATE_HZ: Final = 24_000
SPREAD_S: Final = 1.0

IDEAL_FIRST_S: Final = TOKENS_PER_SENTENCE * TOKEN_S + FIRST_AUDIO_S
IDEAL_DONE_S: Final = SENTENCES * TOKENS_PER_SENTENCE * TOKEN_S + FIRST_AUDIO_S


def tokens() -> list[str]:
    """Returns the words of the answer."""
    # Capitals and plain words: some splitters split only at typical sentence boundaries.
    middle = [f" word{chr(97 + number)}" for number in range(TOKENS_PER_SENTENCE - 2)]
    return [" Then", *middle, " done."] * SENTENCES


async def written() -> AsyncIterator[str]:
    """Yields the tokens, each when it is due."""
    start = time.perf_counter()
    for number, token in enumerate(tokens(), 1):
        # One schedule from the start, so that timers' lateness does not add up.
        await asyncio.sleep(start + number * TOKEN_S - time.perf_counter())
        yield token


def chunk_bytes() -> Iterator[int]:
    """Yields the chunk sizes in which a voice sends one sentence, those of our own voices."""
    left = round(SENTENCE_S * RATE_HZ) * 2
    sizes = iter((20, 100, 200, 200, 200, 200))
    while left:
        size = min(left, RATE_HZ * 2 * next(sizes, 400) // 1000)
        left -= size
        yield size


@dataclass(kw_only=True)
class Heard:
    """The audio that one session received, seconds from the question; infinite if none arrived."""

    asked_at: float
    first_audio_s: float = float("inf")
    done_s: float = float("inf")
    audio_s: float = 0.0

    def take(self, size: int) -> None:
        """Records audio, in bytes of 16-bit samples."""
        elapsed_s = time.perf_counter() - self.asked_at
        self.first_audio_s = min(self.first_audio_s, elapsed_s)
        self.audio_s += size / 2 / RATE_HZ
        if self.audio_s >= SENTENCES * SENTENCE_S - 0.01:
            self.done_s = min(self.done_s, elapsed_s)


async def sessions(count: int, session: Callable[[], Awaitable[Heard]]) -> list[Heard]:
    """Runs sessions that start within a second."""

    async def one(number: int) -> Heard:
        await asyncio.sleep(SPREAD_S * number / count)
        return await session()

    return list(await asyncio.gather(*map(one, range(count))))


async def report(session: Callable[[], Awaitable[Heard]]) -> None:
    """Measures one framework: `python -m bench.beside_NAME REPEATS COUNT...`, prints JSON lines.

    The first round is a warm-up and is not reported.
    """
    repeats, *counts = map(int, sys.argv[1:])
    await sessions(2, session)
    for count in counts:
        for _ in range(repeats):
            cpu_s = time.process_time()
            heard = await sessions(count, session)
            cpu_s = time.process_time() - cpu_s
            turns = [asdict(each) for each in heard]
            line = {"count": count, "cpu_s_per_turn": cpu_s / count, "turns": turns}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
