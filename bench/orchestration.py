"""The cost of orchestration itself: our gateway between stages that only keep time.

The workload (bench/orchestrating/workload.py): a model with a token every 20 ms (60 of them, five
sentences), a voice that needs 100 ms for the first audio of a sentence and speaks 15 s. Without any
cost between the stages, the first audio would be heard after 340 ms, and the whole answer would be
made after 1,300 ms. The gateway, each stage and the clients are separate processes connected by
gRPC; 1 to 200 sessions start within one second.

pipecat-ai and livekit-agents are measured too, each in one process without a network, with the same
tokens and the same pieces of audio (pins/beside.lock). A bare forwarder
(bench/orchestrating/forwarder.py) takes the place of the gateway in the same mesh: its CPU time is
that of grpc.aio, mostly for waking up for each message, which costs a process more the less it has
to do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from anima.gateway import v1 as gateway
from bench.goals import Goals
from bench.orchestrating.beside import FRAMEWORKS, Made, beside, installed
from bench.orchestrating.lateness import Lateness
from bench.orchestrating.orchestration_turn import TurnFigures, turn
from bench.orchestrating.scripted_stages import ROLES
from bench.orchestrating.workload import IDEAL_DONE_S, IDEAL_FIRST_S, SPREAD_S
from bench.processor_time import ProcessorTime
from cli.mesh.layout import Layout, Member, free_addresses, gateway_targets
from cli.mesh.supervisor import Supervisor
from gateway.stages.spec import GATEWAY, GATEWAY_SERVICE, STAGES
from services.runtime.calls.channels import open_channel

if TYPE_CHECKING:
    from anima.gateway.v1.gateway_pb2_grpc import GatewayServiceAsyncStub

SPEAKING: Final = ("llm", "tts")
"""The scripted stages that work in this workload."""
BARGE_IN_S: Final = 0.9
IDLE_S: Final = 4.0
COUNTS: Final = (1, 10, 50, 100, 200)
LEAST_TURNS: Final = 8
"""Few sessions are measured more often, because the figures of one turn mean little."""
MESSAGE_S: Final = 0.2
"""The unit of the goal for silence: half the longest message of paced audio."""
OURS: Final = "Anima"
BARE: Final = "bare forwarder"
FEW: Final = 100
"""With more sessions two cores have no room left, and other goals hold. From here on the paced
round whose lateness is the median of several is reported: one pause of the machine delays 200
sessions."""
MOST_BESIDE: Final = 50
"""The frameworks are measured up to this number of sessions: one process has no room for more."""
MOST_FIRST_MS: Final = {1: 15.0, 50: 40.0}
MOST_DONE_POINTS: Final = {50: 0.3, 100: 6.0}
"""How much later than at the forwarder all may be made, in percent of the ideal."""


@dataclass(frozen=True, kw_only=True)
class Paced:
    """All turns for one number of sessions, paced in real time."""

    spoken: Sequence[TurnFigures]
    stopped: Sequence[TurnFigures]
    cpu_s_per_turn: float
    lateness_p99_s: float


@asynccontextmanager
async def mesh() -> AsyncIterator[tuple[Supervisor, str, str, str]]:
    """Starts scripted stages, the gateway and the forwarder.

    Yields:
        The supervisor, the gateway's address, the address of its metrics, and the forwarder's
        address.
    """
    own, http, metrics, forwarder, *free = free_addresses(4 + len(ROLES))
    stages = dict(zip(ROLES, free, strict=True))
    # The workload does not use the other stages; one of the scripted stages rejects calls to them.
    targets = {name: stages.get(name, stages[ROLES[-1]]) for name in STAGES}
    gateway_environment = {
        **gateway_targets(targets),
        "ANIMA_GATEWAY_LISTEN": own,
        "ANIMA_GATEWAY_HTTP_LISTEN": http,
        "ANIMA_GATEWAY_METRICS_LISTEN": metrics,
        "ANIMA_GATEWAY_CAPACITY": "256",
    }
    forwarder_environment = {
        "ANIMA_FORWARDER_LISTEN": forwarder,
        "ANIMA_FORWARDER_LLM": stages["llm"],
        "ANIMA_FORWARDER_TTS": stages["tts"],
    }
    members = [
        Member(
            name=name,
            module="bench.orchestrating.scripted_stages",
            service=STAGES[name].health_service,
            address=address,
            environment={"ANIMA_SCRIPTED_ROLE": name, "ANIMA_SCRIPTED_LISTEN": address},
        )
        for name, address in stages.items()
    ]
    members += [
        Member(
            name="forwarder",
            module="bench.orchestrating.forwarder",
            service=GATEWAY_SERVICE,
            address=forwarder,
            environment=forwarder_environment,
        ),
        Member(
            name=GATEWAY,
            module=GATEWAY,
            service=GATEWAY_SERVICE,
            address=own,
            environment=gateway_environment,
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(members=tuple(members), http_address=http)
        supervisor = Supervisor(
            layout, log_folder=Path(folder), environment={"ANIMA_GATEWAY_DATA_DIR": folder}
        )
        async with supervisor.running():
            await supervisor.until_settled()
            if not supervisor.is_ready():
                raise RuntimeError("\n".join(map(supervisor.log_tail, supervisor.statuses)))
            yield supervisor, own, metrics, forwarder


class Measurement:
    """Runs the scenarios against one mesh."""

    def __init__(
        self, supervisor: Supervisor, stub: GatewayServiceAsyncStub, metrics_address: str
    ) -> None:
        self._supervisor = supervisor
        self._stub = stub
        self._lateness = Lateness(metrics_address)
        self.idle_load = 0.0

    async def warm_up(self) -> None:
        """Opens the connections, and measures the load of the idle gateway."""
        await self._turns(2, pacing=gateway.PACING_AS_MADE)
        idle = ProcessorTime(self._process_id(GATEWAY))
        await asyncio.sleep(IDLE_S)
        self.idle_load = idle.load()

    async def forwarded(self, stub: GatewayServiceAsyncStub, count: int) -> Made:
        """Runs the same turns through the forwarder."""
        made = Made()
        await turn(stub, pacing=gateway.PACING_AS_MADE, stop_after_s=None)
        bare_time = ProcessorTime(self._process_id("forwarder"))
        made.add(await self._turns(count, pacing=gateway.PACING_AS_MADE, stub=stub))
        made.cpu_s = bare_time.used_s()
        return made

    async def as_made(self, count: int) -> Made:
        """Runs turns whose answers are sent as they are made."""
        made = Made()
        gateway_time = self._gateway_time()
        others = [
            ProcessorTime(os.getpid()),
            *(ProcessorTime(self._process_id(name)) for name in SPEAKING),
        ]
        made.add(await self._turns(count, pacing=gateway.PACING_AS_MADE))
        made.cpu_s = gateway_time.used_s()
        made.others_cpu_s = sum(each.used_s() for each in others)
        return made

    async def paced(self, count: int) -> Paced:
        """Runs turns whose answers are sent in real time, once complete and once interrupted."""
        await self._lateness.start()
        gateway_time = self._gateway_time()
        spoken = await self._turns(count, pacing=gateway.PACING_REAL_TIME)
        cpu_s = gateway_time.used_s()
        lateness_p99_s = await self._lateness.p99_s()
        stopped = await self._turns(count, pacing=gateway.PACING_REAL_TIME, stop_after_s=BARGE_IN_S)
        return Paced(
            spoken=spoken,
            stopped=stopped,
            cpu_s_per_turn=cpu_s / count,
            lateness_p99_s=lateness_p99_s,
        )

    async def _turns(
        self,
        count: int,
        *,
        pacing: gateway.Pacing.ValueType,
        stop_after_s: float | None = None,
        stub: GatewayServiceAsyncStub | None = None,
    ) -> list[TurnFigures]:
        """Runs sessions of one turn each that start within a second."""

        async def one(number: int) -> TurnFigures:
            await asyncio.sleep(SPREAD_S * number / count)
            return await turn(stub or self._stub, pacing=pacing, stop_after_s=stop_after_s)

        return list(await asyncio.gather(*(one(number) for number in range(count))))

    def _gateway_time(self) -> ProcessorTime:
        return ProcessorTime(self._process_id(GATEWAY), idle_load=self.idle_load)

    def _process_id(self, name: str) -> int:
        process_id = self._supervisor.statuses[name].process_id
        if process_id is None:
            raise RuntimeError(self._supervisor.log_tail(name))
        return process_id


async def measure(counts: Sequence[int], repeats: int, console: Console, goals: Goals) -> None:
    """Runs all scenarios, prints the tables, and checks the figures against the goals."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    machine = f"{psutil.cpu_count()} cores {platform.machine()}, load {load} before"
    made_table = Table(
        "sessions", "", "first audio", "over ideal", "p95", "all made", "over ideal", "CPU a turn",
        title=f"as made: ms, p50 unless stated otherwise ({machine})",
    )  # fmt: skip
    paced_table = Table(
        "sessions", "first audio", "gateway CPU for 15 s", "lateness p99", "silence p50", "p95",
        "stale", title="paced in real time; barge-in 900 ms after the question: ms",
    )  # fmt: skip
    ours: dict[int, Made] = {}
    bare: dict[int, Made] = {}
    paced: dict[int, Paced] = {}
    async with (
        mesh() as (supervisor, address, metrics, bare_address),
        open_channel(address) as channel,
        open_channel(bare_address) as bare_channel,
    ):
        stub = cast("GatewayServiceAsyncStub", gateway.GatewayServiceStub(channel))
        bare_stub = cast("GatewayServiceAsyncStub", gateway.GatewayServiceStub(bare_channel))
        measurement = Measurement(supervisor, stub, metrics)
        await measurement.warm_up()
        for count in counts:
            times = max(repeats, LEAST_TURNS // count)
            ours[count], bare[count] = Made(), Made()
            # In turn, so that what else the machine does affects both.
            for _ in range(times):
                ours[count].join(await measurement.as_made(count))
                bare[count].join(await measurement.forwarded(bare_stub, count))
            _add_made(made_table, count, OURS, ours[count])
            _add_made(made_table, count, BARE, bare[count])
            for name, module in FRAMEWORKS.items() if count <= MOST_BESIDE and installed() else ():
                made = await beside(module, count=count, repeats=times)
                _add_made(made_table, count, name, made)
            rounds = [await measurement.paced(count) for _ in range(1 if count < FEW else repeats)]
            paced[count] = sorted(rounds, key=lambda each: each.lateness_p99_s)[len(rounds) // 2]
            _add_paced(paced_table, count, paced[count])
    made_table.caption = (
        "CPU: of the gateway's process, in brackets that of model, voice and clients; of "
        "the others the whole process, which includes model, voice and listener"
    )
    paced_table.caption = f"CPU less {measurement.idle_load * 1000:.0f} ms/s of the idle gateway"
    console.print(made_table)
    console.print(paced_table)
    _judge(goals, ours, bare, paced)


def _judge(
    goals: Goals, ours: dict[int, Made], bare: dict[int, Made], paced: dict[int, Paced]
) -> None:
    form = ".1f"
    for count, made in ours.items():
        if count in MOST_FIRST_MS:
            over_ms = (_percentile(made.first_s, 50) - IDEAL_FIRST_S) * 1000
            what = f"first audio over ideal, n={count}, ms"
            goals.at_most(what, over_ms, MOST_FIRST_MS[count], form=form)
        if count in MOST_DONE_POINTS:
            later_s = _percentile(made.done_s, 50) - _percentile(bare[count].done_s, 50)
            what = f"all made later than at a bare forwarder, n={count}, points"
            most = MOST_DONE_POINTS[count]
            goals.at_most(what, later_s / IDEAL_DONE_S * 100, most, form=".2f")
        if count == 50:
            cpu_ms = made.cpu_s_per_turn * 1000
            goals.at_most(f"gateway CPU a turn, n={count}, ms", cpu_ms, 25, form=form)
        times = made.cpu_s_per_turn / bare[count].cpu_s_per_turn
        what = f"gateway CPU a turn, n={count}, times a bare forwarder's"
        goals.at_most(what, times, 1.2 if count <= FEW else 1.4, form=".2f")
    for count, each in paced.items():
        what = f"p99 lateness of paced writes, n={count}, ms"
        goals.at_most(what, each.lateness_p99_s * 1000, 5 if count <= FEW else 20, form=form)
        silence_s = _percentile([turn.silence_s for turn in each.stopped], 95)
        what = f"silence after barge-in p95, n={count}, ms"
        if count <= FEW:
            goals.at_most(what, silence_s * 1000, MESSAGE_S * 1000 + 5, form=form)
        stale = sum(turn.stale_messages for turn in each.stopped)
        goals.at_most(f"stale audio, n={count}, messages", stale, 0, form=".0f")


def _add_made(table: Table, count: int, name: str, made: Made) -> None:
    first_s, done_s = _percentile(made.first_s, 50), _percentile(made.done_s, 50)
    others_s = made.others_cpu_s / len(made.first_s)
    table.add_row(
        str(count) if name == OURS else "",
        name,
        _ms(first_s),
        f"+{_ms(first_s - IDEAL_FIRST_S)}",
        _ms(_percentile(made.first_s, 95)),
        _ms(done_s),
        f"+{(done_s / IDEAL_DONE_S - 1) * 100:.1f} %",
        f"{_ms(made.cpu_s_per_turn)} (+{_ms(others_s)})" if others_s else _ms(made.cpu_s_per_turn),
    )


def _add_paced(table: Table, count: int, paced: Paced) -> None:
    silence = [each.silence_s for each in paced.stopped]
    table.add_row(
        str(count),
        _ms(_percentile([each.first_audio_s for each in paced.spoken], 50)),
        _ms(paced.cpu_s_per_turn),
        _ms(paced.lateness_p99_s),
        _ms(_percentile(silence, 50)),
        _ms(_percentile(silence, 95)),
        str(sum(each.stale_messages for each in paced.stopped)),
    )


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="*", default=COUNTS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-goals", action="store_true", help="do not fail on missed goals")
    given = parser.parse_args()
    goals = Goals()
    started_at = time.perf_counter()
    asyncio.run(measure(given.sessions, given.repeats, Console(width=120), goals))
    sys.stdout.write(f"took {time.perf_counter() - started_at:.0f} s\n")
    if not installed():
        names = " and ".join(FRAMEWORKS)
        remedy = "make .cache/bench-env/.installed"
        sys.stdout.write(f"\n!!! NOT MEASURED: {names}. To install: {remedy}\n")
    if not given.no_goals:
        goals.exit_if_missed()


if __name__ == "__main__":
    main()
