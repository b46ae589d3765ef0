"""Chaos test: kills services at random moments of many answers and checks for losses and leaks.

All conversations are open at the same time; a few of them ask at any moment. Meanwhile one service
after another is killed and restarted. Each answer must arrive complete or end with an apology, and
no conversation may end. Then every client asks once more, and the gateway must hold no more
resources than before.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from rich.console import Console

from anima.gateway import v1 as gateway
from anima.tts import v1 as tts
from bench.talkers.faults import faults_of, leftovers
from bench.talkers.people import QUESTIONS, spoken, voices_of_people
from bench.talkers.talking import Fate, Outcome, Talker
from bench.talkers.watching import Gauges, Usage, watched_mesh
from cli.mesh.supervisor import State, Supervisor
from gateway.stages.spec import GATEWAY, STAGES
from services.runtime.calls.channels import open_channel

if TYPE_CHECKING:
    from anima.gateway.v1.gateway_pb2_grpc import GatewayServiceAsyncStub
    from anima.tts.v1.tts_pb2_grpc import TtsServiceAsyncStub

_PAUSE_S: Final = (0.2, 2.5)
_READY_TIMEOUT_S: Final = 90.0


@dataclass
class Aftermath:
    """The result of a run.

    Attributes:
        outcomes: The outcome of each question while services were killed.
        afterwards: The outcome of one more question in each conversation, when all services were
            back.
        kills: How often each service was killed.
        killed: The ids of the processes that were killed.
        ended: The number of conversations that ended.
        leftover_tasks: Tasks of the gateway after the last conversation, beyond those before the
            first.
        leftover_descriptors: The same for its descriptors.
        open_sessions: Conversations that the gateway still counts.
        took_s: The duration of the run, seconds.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    afterwards: list[Outcome] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    killed: set[int] = field(default_factory=set)
    ended: int = 0
    leftover_tasks: int = 0
    leftover_descriptors: int = 0
    open_sessions: int = 0
    took_s: float = 0.0

    def faults(self) -> list[str]:
        """Lists the violations."""
        faults = faults_of(self.outcomes + self.afterwards)
        faults += [
            f"not answered afterwards: {each.fate} {each.why}"
            for each in self.afterwards
            if each.fate not in (Fate.WHOLE, Fate.LOST)
        ]
        if self.ended:
            faults.append(f"{self.ended} conversations have ended")
        if spared := STAGES.keys() - set(self.kills):
            faults.append(f"never killed: {', '.join(sorted(spared))}")
        if self.open_sessions:
            faults.append(f"{self.open_sessions} sessions were left in the gateway")
        return faults + leftovers(
            tasks=self.leftover_tasks, descriptors={GATEWAY: self.leftover_descriptors}
        )


async def chaos(answers: int, *, at_a_time: int, seed: int) -> Aftermath:
    """Runs the test: one question in each of `answers` conversations."""
    chance = random.Random(seed)
    started_s = time.monotonic()
    async with watched_mesh() as (supervisor, gauges):
        addresses = {name: status.member.address for name, status in supervisor.statuses.items()}
        async with open_channel(addresses["tts"]) as channel:
            voice_of = cast("TtsServiceAsyncStub", tts.TtsServiceStub(channel))
            (voice, *_) = await voices_of_people(voice_of)
            speech = await spoken(voice_of, QUESTIONS[0], voice)
        async with open_channel(addresses["gateway"]) as channel:
            stub = cast("GatewayServiceAsyncStub", gateway.GatewayServiceStub(channel))
            people = [Talker(stub, _config(number)) for number in range(answers)]
            first = Talker(stub, _config(answers))
            await first.open()
            await first.ask(QUESTIONS[0])
            await first.close()
            before = await _held(supervisor, gauges)
            for person in people:
                await person.open()
            seen = Aftermath()
            killing = asyncio.create_task(_kill(supervisor, chance, seen))
            places = asyncio.Semaphore(at_a_time)

            async def ask(number: int) -> Outcome:
                async with places:
                    # A few speak their question, because nothing else needs the recogniser.
                    if number % 5 == 4:
                        return await people[number].speak(speech)
                    return await people[number].ask(QUESTIONS[number % len(QUESTIONS)])

            seen.outcomes = list(await asyncio.gather(*map(ask, range(answers))))
            await _kill_the_rest(supervisor, seen)
            killing.cancel()
            await asyncio.wait([killing])
            await _until_ready(supervisor, seen.killed)
            seen.ended = sum(not person.alive for person in people)

            async def ask_again(person: Talker) -> Outcome:
                async with places:
                    return await person.ask("who are you")

            again = [person for person in people if person.alive]
            seen.afterwards = list(await asyncio.gather(*map(ask_again, again)))
            for person in people:
                await person.close()
            after = await _held(supervisor, gauges, at_most=before)
        seen.open_sessions = round(after.sessions)
        seen.leftover_tasks = round(after.tasks - before.tasks)
        seen.leftover_descriptors = after.descriptors - before.descriptors
    seen.took_s = time.monotonic() - started_s
    return seen


@dataclass(frozen=True)
class _Held:
    sessions: float
    tasks: float
    descriptors: int


def _config(number: int) -> gateway.ConverseConfig:
    return gateway.ConverseConfig(
        user_id=f"chaos-{number}",
        language="en",
        pacing=gateway.PACING_AS_MADE,
        input_sample_rate_hz=16_000,
    )


async def _held(supervisor: Supervisor, gauges: Gauges, *, at_most: _Held | None = None) -> _Held:
    tasks = float("inf") if at_most is None else at_most.tasks
    now = await gauges.settled(
        lambda now: now["anima_gateway_sessions"] == 0 and now["anima_gateway_tasks"] <= tasks
    )
    usage = Usage()
    usage.sample(supervisor.statuses["gateway"].process_id or os.getpid())
    return _Held(now["anima_gateway_sessions"], now["anima_gateway_tasks"], usage.descriptors[0])


async def _kill(supervisor: Supervisor, chance: random.Random, seen: Aftermath) -> None:
    # Each service in turn, so that none is spared; only the moment is random.
    for victim in itertools.cycle(chance.sample(list(STAGES), len(STAGES))):
        await asyncio.sleep(chance.uniform(*_PAUSE_S))
        _kill_now(supervisor, victim, seen)


async def _kill_the_rest(supervisor: Supervisor, seen: Aftermath) -> None:
    for victim in STAGES.keys() - set(seen.kills):
        _kill_now(supervisor, victim, seen)


def _kill_now(supervisor: Supervisor, victim: str, seen: Aftermath) -> None:
    status = supervisor.statuses[victim]
    if status.state is State.READY and status.process_id is not None:
        os.kill(status.process_id, signal.SIGKILL)
        seen.kills[victim] += 1
        seen.killed.add(status.process_id)


async def _until_ready(supervisor: Supervisor, killed: set[int]) -> None:
    async with asyncio.timeout(_READY_TIMEOUT_S):
        # A service that was just killed counts as ready until that is noticed.
        await supervisor.until_noticed(killed)
        await supervisor.until_settled()
    if not supervisor.is_ready():
        raise RuntimeError("\n".join(map(supervisor.log_tail, supervisor.statuses)))


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--at-a-time", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    seen = asyncio.run(chaos(arguments.answers, at_a_time=arguments.at_a_time, seed=arguments.seed))
    console = Console(width=120)
    kills = ", ".join(f"{name} {count} times" for name, count in seen.kills.items())
    console.print(f"killed in {seen.took_s:.0f} s: {kills}")
    for title, outcomes in (("meanwhile", seen.outcomes), ("afterwards", seen.afterwards)):
        fates = Counter(outcome.fate for outcome in outcomes)
        counts = ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items()))
        console.print(f"{title}: {len(outcomes)} questions: {counts}")
    if faults := seen.faults():
        sys.exit("FAILED: " + "; ".join(faults))
    console.print("PASSED: no conversation ended, nothing was lost silently, nothing leaked")


if __name__ == "__main__":
    main()
