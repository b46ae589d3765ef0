"""Soak test: converses with the real mesh for hours and checks A/V sync and resource growth.

Several people type, speak and interrupt in real time. For each frame the client records how far
from its sound it would be shown on a clock that does not wait; every few seconds the memory and
descriptors of each process and the tasks of the gateway are sampled. The run ends with a verdict.

Data that the memory service stores is not a leak: before sampling starts it knows as many people as
its caches hold, and each conversation belongs to a new person.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import platform
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import psutil
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from anima.gateway import v1 as gateway
from anima.memory import v1 as memory
from anima.tts import v1 as tts
from bench.talkers.faults import faults_of, leftovers
from bench.talkers.people import QUESTIONS, spoken, voices_of_people
from bench.talkers.talking import Fate, Outcome, Talker
from bench.talkers.watching import Gauges, Usage, watched_mesh
from cli.mesh.supervisor import Supervisor
from services.runtime.calls.channels import open_channel

if TYPE_CHECKING:
    from anima.gateway.v1.gateway_pb2_grpc import GatewayServiceAsyncStub
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub
    from anima.tts.v1.tts_pb2_grpc import TtsServiceAsyncStub

MAX_AV_OFFSET_S: Final = 0.045
MAX_GROWTH: Final = 0.01
WARM_UP: Final = 0.25
"""The share of the time that counts as warm-up."""
JUDGED_FROM_MINUTES: Final = 5.0
"""In a shorter run, growth is only warm-up."""
SAMPLE_EVERY_S: Final = 2.0
KNOWN_PEOPLE: Final = 30
ITEMS_OF_EACH: Final = 80
INDEX_CACHE_BYTES: Final = 1_000_000
"""The indexes of 30 people with 80 items each do not fit into it."""
_SPOKEN_QUESTIONS: Final = QUESTIONS[:5]


@dataclass
class Record:
    """The result of a run.

    Attributes:
        outcomes: The outcome of each question.
        usage: The resources of each process.
        leftover_tasks: Tasks of the gateway after the last session, beyond those before the first.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    usage: dict[str, Usage] = field(default_factory=dict)
    leftover_tasks: int = 0

    def fates(self) -> Counter[Fate]:
        """Counts the outcomes of the questions."""
        return Counter(outcome.fate for outcome in self.outcomes)

    def av_offset_p99_s(self) -> float:
        """Returns the offset that 99 % of the frames stay under, seconds."""
        offsets = [each for outcome in self.outcomes for each in outcome.av_offsets_s]
        return float(np.percentile(offsets, 99)) if offsets else float("inf")

    def faults(self) -> list[str]:
        """Lists faults that must not occur, whatever the load of the machine."""
        faults = faults_of(self.outcomes)
        if not self.outcomes:
            faults.append("no question was answered")
        more = {
            name: usage.descriptors[-1] - usage.descriptors[0] for name, usage in self.usage.items()
        }
        return faults + leftovers(tasks=self.leftover_tasks, descriptors=more)

    def slow_faults(self, minutes: float) -> list[str]:
        """Lists more faults that a long run on a dedicated machine must not show."""
        faults = []
        if (offset_s := self.av_offset_p99_s()) >= MAX_AV_OFFSET_S:
            faults.append(f"AV offset p99 is {1000 * offset_s:.0f} ms")
        for name, usage in self.usage.items():
            growth = usage.growth(round(WARM_UP * len(usage.resident_bytes)))
            if minutes >= JUDGED_FROM_MINUTES and growth >= MAX_GROWTH:
                faults.append(f"{name} has grown by {100 * growth:.1f} %")
        return faults


async def soak(
    minutes: float, *, sessions: int, seed: int, known_people: int = KNOWN_PEOPLE
) -> Record:
    """Converses for a time and returns the result.

    Args:
        minutes: The duration.
        sessions: The number of concurrent conversations.
        seed: The seed of their random behaviour.
        known_people: The number of people that the memory knows beforehand.
    """
    settings = {
        # The recogniser keeps a decoder process for its peak number of concurrent streams.
        "ANIMA_ASR_WARM_DECODERS": str(2 * sessions),
        "ANIMA_MEMORY_INDEX_CACHE_BYTES": str(INDEX_CACHE_BYTES),
    }
    async with watched_mesh(settings) as (supervisor, gauges):
        addresses = {name: status.member.address for name, status in supervisor.statuses.items()}
        async with open_channel(addresses["tts"]) as channel:
            voice_of = cast("TtsServiceAsyncStub", tts.TtsServiceStub(channel))
            speech = [
                await spoken(voice_of, question, voice)
                for voice in (await voices_of_people(voice_of))[:2]
                for question in _SPOKEN_QUESTIONS
            ]
        async with open_channel(addresses["memory"]) as channel:
            await _get_to_know(
                cast("MemoryServiceAsyncStub", memory.MemoryServiceStub(channel)), known_people
            )
        async with open_channel(addresses["gateway"]) as channel:
            stub = cast("GatewayServiceAsyncStub", gateway.GatewayServiceStub(channel))
            tasks_before = await _first_answer(stub, gauges)
            record = Record(usage={name: Usage() for name in supervisor.statuses})
            watching = asyncio.create_task(_watch(supervisor, record))
            until_s = time.monotonic() + 60 * minutes
            await asyncio.gather(
                *(
                    _talk(
                        stub,
                        f"soak-{number}",
                        random.Random(seed + number),
                        speech,
                        until_s,
                        record,
                    )
                    for number in range(sessions)
                )
            )
            watching.cancel()
            await asyncio.wait([watching])
            left = await gauges.settled(lambda now: now["anima_gateway_tasks"] <= tasks_before)
            record.leftover_tasks = round(left["anima_gateway_tasks"] - tasks_before)
            return record


async def _get_to_know(store: MemoryServiceAsyncStub, people: int) -> None:
    for person in range(people):
        items = [
            memory.Item(
                text=f"{QUESTIONS[number % len(QUESTIONS)]} I asked it at {number} o'clock.",
                session_id=str(number // 10),
            )
            for number in range(ITEMS_OF_EACH)
        ]
        user_id = f"known-{person}"
        await store.Remember(memory.RememberRequest(user_id=user_id, items=items))
        await store.Recall(memory.RecallRequest(user_id=user_id, query=QUESTIONS[0]))


async def _first_answer(stub: GatewayServiceAsyncStub, gauges: Gauges) -> float:
    """Returns the tasks of a gateway that has answered once and has no open conversation."""
    talker = Talker(stub, gateway.ConverseConfig(pacing=gateway.PACING_AS_MADE, user_id="first"))
    await talker.open()
    await talker.ask(QUESTIONS[0])
    await talker.close()
    now = await gauges.settled(lambda now: now["anima_gateway_sessions"] == 0)
    return now["anima_gateway_tasks"]


async def _talk(
    stub: GatewayServiceAsyncStub,
    user_id: str,
    chance: random.Random,
    speech: list[NDArray[np.int16]],
    until_s: float,
    record: Record,
) -> None:
    for number in itertools.count():
        if time.monotonic() >= until_s:
            return
        config = gateway.ConverseConfig(
            user_id=f"{user_id}-{number}", language="en", input_sample_rate_hz=16_000
        )
        talker = Talker(stub, config)
        await talker.open()
        for _ in range(chance.randint(3, 8)):
            question, after_s = chance.choice(QUESTIONS), chance.uniform(0.3, 3.0)
            match chance.randrange(4):
                case 0:
                    record.outcomes.append(await talker.ask(question))
                case 1:
                    record.outcomes.append(await talker.speak(chance.choice(speech)))
                case 2:
                    record.outcomes.append(await talker.ask(question, stop_after_s=after_s))
                case _:
                    other = chance.choice(QUESTIONS)
                    record.outcomes += await talker.ask_over(question, after_s=after_s, then=other)
            if time.monotonic() > until_s or not talker.alive:
                break
        await talker.close()


async def _watch(supervisor: Supervisor, record: Record) -> None:
    while True:
        for name, status in supervisor.statuses.items():
            if status.process_id is not None:
                record.usage[name].sample(status.process_id)
        await asyncio.sleep(SAMPLE_EVERY_S)


def show(record: Record, minutes: float, sessions: int, console: Console) -> None:
    """Prints the result."""
    machine = f"{psutil.cpu_count()} cores {platform.machine()}"
    table = Table(
        "process", "MiB at 25 %", "at 50 %", "at 75 %", "at the end", "growth", "descriptors",
        title=f"{minutes:g} minutes, {sessions} conversations at a time ({machine})",
    )  # fmt: skip
    for name, usage in record.usage.items():
        count = len(usage.resident_bytes)
        table.add_row(
            name,
            *(f"{usage.resident_bytes[count * q // 4] / 2**20:.1f}" for q in (1, 2, 3)),
            f"{usage.resident_bytes[-1] / 2**20:.1f}",
            f"{100 * usage.growth(round(WARM_UP * count)):+.2f} %",
            f"{usage.descriptors[0]} to {usage.descriptors[-1]}",
        )
    console.print(table)
    fates = ", ".join(f"{count} {fate}" for fate, count in sorted(record.fates().items()))
    underruns = sum(outcome.underruns for outcome in record.outcomes)
    console.print(f"{len(record.outcomes)} questions: {fates}; playback ran dry {underruns} times")
    console.print(f"AV offset p99 {1000 * record.av_offset_p99_s():.1f} ms")


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--sessions", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    record = asyncio.run(soak(arguments.minutes, sessions=arguments.sessions, seed=arguments.seed))
    console = Console(width=120)
    show(record, arguments.minutes, arguments.sessions, console)
    faults = record.faults() + record.slow_faults(arguments.minutes)
    if faults:
        sys.exit("FAILED: " + "; ".join(faults))
    console.print("PASSED")


if __name__ == "__main__":
    main()
