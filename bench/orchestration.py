"""What orchestration itself costs: our gateway between stages that only keep time.

The workload: a model with a token every 20 ms (60 of them, five sentences), a voice that needs
100 ms for the first audio and speaks 15 s. Without any cost between the stages the first audio
would be heard after 340 ms, and all would be made after 1,300 ms. The gateway, each stage and the
clients are processes of their own; 1, 10 and 50 sessions start within one second.

pipecat and livekit-agents are measured beside it where they are installed (extra `bench`).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from anima.gateway import v1 as gateway
from bench.lateness import Lateness
from cli.layout import Layout, Member, free_layout
from cli.supervisor import Supervisor
from services.runtime.channels import open_channel

if TYPE_CHECKING:
    from anima.gateway.v1.gateway_pb2_grpc import GatewayServiceAsyncStub

IDEAL_FIRST_S: Final = 0.34
IDEAL_DONE_S: Final = 1.3
SPREAD_S: Final = 1.0
BARGE_IN_S: Final = 0.9
IDLE_S: Final = 4.0
COUNTS: Final = (1, 10, 50)
FRAMEWORKS: Final = ("pipecat", "livekit.agents")


@dataclass(kw_only=True)
class TurnFigures:
    """One turn as its client saw it, seconds from the question; infinite where nothing came."""

    first_audio_s: float = float("inf")
    done_s: float = float("inf")
    silence_s: float = float("inf")
    """From the command to stop until the last media message."""
    stale_messages: int = 0
    """Media that came after the interruption was confirmed."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """All turns of one scenario."""

    turns: Sequence[TurnFigures]
    cpu_s_per_turn: float
    lateness_p99_s: float


async def turn(
    stub: GatewayServiceAsyncStub, *, pacing: gateway.Pacing.ValueType, stop_after_s: float | None
) -> TurnFigures:
    """Hold a conversation of one turn."""
    call: Any = stub.Converse()
    config = gateway.ConverseConfig(audio_only=True, language="en", pacing=pacing)
    await call.write(gateway.ConverseRequest(config=config))
    await call.read()
    asked_at = time.perf_counter()
    await call.write(gateway.ConverseRequest(text=gateway.TextInput(text="Tell me a story.")))
    figures = TurnFigures()
    stopping = None
    if stop_after_s is not None:
        stopping = asyncio.create_task(_stop(call, asked_at + stop_after_s))
    interrupted = False
    last_media_at = asked_at
    while True:
        event = await call.read()
        now = time.perf_counter()
        kind = event.WhichOneof("event")
        if kind == "media":
            figures.first_audio_s = min(figures.first_audio_s, now - asked_at)
            figures.stale_messages += interrupted
            last_media_at = now
        elif kind == "turn_interrupted":
            interrupted = True
        elif kind == "turn_ended":
            figures.done_s = now - asked_at
            break
    if stopping is not None:
        figures.silence_s = max(0.0, last_media_at - await stopping)
    # What is still to come after the end would be stale as well.
    await call.done_writing()
    while (event := await call.read()) and hasattr(event, "WhichOneof"):
        figures.stale_messages += event.WhichOneof("event") == "media"
    return figures


async def _stop(call: Any, at: float) -> float:
    await asyncio.sleep(at - time.perf_counter())
    stopped_at = time.perf_counter()
    await call.write(gateway.ConverseRequest(stop=gateway.Stop()))
    return stopped_at


@asynccontextmanager
async def mesh() -> AsyncIterator[tuple[Supervisor, str, str]]:
    """Start the gateway and scripted stages; give the supervisor and the gateway's addresses."""
    # A layout has more addresses than are needed here, and all of them are free.
    free = free_layout()
    ports = [*(member.address for member in free.members), free.http_address]
    addresses = dict(zip(("llm", "tts", "avatar"), ports, strict=False))
    targets = {
        f"ANIMA_GATEWAY_{name.upper()}_TARGET": addresses.get(name, addresses["avatar"])
        for name in ("asr", "llm", "memory", "tts", "avatar")
    }
    members = [
        Member(
            name=name,
            module="bench.scripted_stages",
            service=f"anima.{name}.v1.{name.capitalize()}Service",
            address=address,
            environment={"ANIMA_SCRIPTED_ROLE": name, "ANIMA_SCRIPTED_LISTEN": address},
        )
        for name, address in addresses.items()
    ]
    own = {
        "ANIMA_GATEWAY_LISTEN": ports[3],
        "ANIMA_GATEWAY_HTTP_LISTEN": ports[4],
        "ANIMA_GATEWAY_METRICS_LISTEN": ports[5],
        "ANIMA_GATEWAY_CAPACITY": "256",
    }
    members.append(
        Member(
            name="gateway",
            module="gateway",
            service="anima.gateway.v1.GatewayService",
            address=ports[3],
            environment=targets | own,
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(members=tuple(members), http_address=ports[4])
        supervisor = Supervisor(layout, log_folder=Path(folder))
        async with supervisor.running():
            await supervisor.until_settled()
            if not supervisor.is_ready():
                raise RuntimeError("\n".join(map(supervisor.log_tail, supervisor.statuses)))
            yield supervisor, ports[3], ports[5]


async def scenario(
    count: int,
    *,
    stub: GatewayServiceAsyncStub,
    process: psutil.Process,
    lateness: Lateness,
    idle_load: float,
    pacing: gateway.Pacing.ValueType,
    stop_after_s: float | None = None,
) -> Figures:
    """Run `count` sessions that start within a second."""

    async def one(number: int) -> TurnFigures:
        await asyncio.sleep(SPREAD_S * number / count)
        return await turn(stub, pacing=pacing, stop_after_s=stop_after_s)

    await lateness.start()
    before, started_at = _cpu_s(process), time.perf_counter()
    turns = await asyncio.gather(*(one(number) for number in range(count)))
    took_s = time.perf_counter() - started_at
    cpu_s = _cpu_s(process) - before - idle_load * took_s
    return Figures(turns=turns, cpu_s_per_turn=cpu_s / count, lateness_p99_s=await lateness.p99_s())


async def measure(counts: Sequence[int], repeats: int, console: Console) -> None:
    """Run all scenarios and print the tables."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    machine = f"{psutil.cpu_count()} cores {platform.machine()}, load {load} before"
    made = Table(
        "sessions", "first audio", "over ideal", "p95", "all made", "over ideal", "gateway CPU",
        title=f"as made: ms, p50 where not said ({machine})",
    )  # fmt: skip
    paced = Table(
        "sessions", "first audio", "gateway CPU for 15 s", "lateness p99", "silence p50", "p95",
        "stale", title="paced in real time; barge-in 900 ms after the question: ms",
    )  # fmt: skip
    async with mesh() as (supervisor, address, metrics), open_channel(address) as channel:
        stub = cast("GatewayServiceAsyncStub", gateway.GatewayServiceStub(channel))
        process = psutil.Process(supervisor.statuses["gateway"].process_id)
        idle_load = await _idle_load(process)
        paced.title = f"{paced.title} (CPU less {idle_load * 1000:.0f} ms/s of the idle gateway)"
        shared: dict[str, Any] = {
            "stub": stub,
            "process": process,
            "lateness": Lateness(metrics),
            "idle_load": idle_load,
        }
        await scenario(2, pacing=gateway.PACING_AS_MADE, **shared)
        for count in counts:
            runs = [
                await scenario(count, pacing=gateway.PACING_AS_MADE, **shared)
                for _ in range(repeats)
            ]
            _add_made(made, count, runs)
            spoken = await scenario(count, pacing=gateway.PACING_REAL_TIME, **shared)
            barge_in = await scenario(
                count, pacing=gateway.PACING_REAL_TIME, stop_after_s=BARGE_IN_S, **shared
            )
            _add_paced(paced, count, spoken, barge_in)
    console.print(made)
    console.print(paced)


async def _idle_load(process: psutil.Process) -> float:
    """Return the share of a core that the gateway needs while nobody talks: health checks."""
    before, started_at = _cpu_s(process), time.perf_counter()
    await asyncio.sleep(IDLE_S)
    return (_cpu_s(process) - before) / (time.perf_counter() - started_at)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _add_made(table: Table, count: int, runs: Sequence[Figures]) -> None:
    turns = [each for run in runs for each in run.turns]
    first = [each.first_audio_s for each in turns]
    done = [each.done_s for each in turns]
    table.add_row(
        str(count),
        _ms(_percentile(first, 50)),
        f"+{_ms(_percentile(first, 50) - IDEAL_FIRST_S)}",
        _ms(_percentile(first, 95)),
        _ms(_percentile(done, 50)),
        f"+{(_percentile(done, 50) / IDEAL_DONE_S - 1) * 100:.1f} %",
        _ms(float(np.median([run.cpu_s_per_turn for run in runs]))),
    )


def _add_paced(table: Table, count: int, spoken: Figures, barge_in: Figures) -> None:
    silence = [each.silence_s for each in barge_in.turns]
    table.add_row(
        str(count),
        _ms(_percentile([each.first_audio_s for each in spoken.turns], 50)),
        _ms(spoken.cpu_s_per_turn),
        _ms(spoken.lateness_p99_s),
        _ms(_percentile(silence, 50)),
        _ms(_percentile(silence, 95)),
        str(sum(each.stale_messages for each in barge_in.turns)),
    )


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module.partition(".")[0]) is not None


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="*", default=COUNTS)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(measure(given.sessions, given.repeats, Console(width=120)))
    missing = [name for name in FRAMEWORKS if not _installed(name)]
    if missing:
        sys.stdout.write(f"\n!!! NOT MEASURED beside it: {', '.join(missing)} (not installed)\n")


if __name__ == "__main__":
    main()
