"""Four sessions that talk with a picture while others flood the gateway, beside the same without.

2,000 idle connections, 200 halves of request heads a second and 80 WebSockets without a token; what
the gateway closes is opened again at once. The mesh demands a token. Phases with and without floods
alternate in one mesh, so that what else the machine does affects both. Then all floods of the
review come together: also probes, photos of 31 MiB, typed items and streams without progress. With
`--each` every kind of them comes alone, too.

A frame is late if it arrives more than 45 ms after its time at a player that holds 270 ms, or if it
does not arrive: a face that is given up to save time counts too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import platform
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import psutil
from rich.console import Console
from rich.table import Table

from anima.gateway import v1 as gateway
from bench.goals import Goals
from bench.processor_time import ProcessorTime
from bench.strangers.heavy_floods import KINDS
from bench.talkers.people import QUESTIONS
from bench.talkers.talking import Fate, Outcome, Talker
from cli.mesh.layout import free_layout
from cli.mesh.supervisor import Supervisor
from services.runtime.calls.channels import open_channel
from services.runtime.config.settings import ServiceSettings

if TYPE_CHECKING:
    from anima.gateway.v1.gateway_pb2_grpc import GatewayServiceAsyncStub

TOKEN: Final = "floods-0123456789abcdef0123456789abcdef"
SESSIONS: Final = 4
LATE_S: Final = 0.045
MOST_LATE_POINTS: Final = 0.1
MOST_CPU_RATIO: Final = 1.2
MOST_LOG_BYTES: Final = 1_000_000
MOST_MEMORY_RATIO: Final = 1.3
_SAMPLE_EVERY_S: Final = 0.2


@dataclass
class Phase:
    """What was seen in the phases of one kind.

    Attributes:
        outcomes: The outcome of each question.
        cpu_s: The processor time of the gateway.
        wall_s: Its duration.
        log_bytes: By how much all logs have grown.
        peak_bytes: The most memory of each service, workers included.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0
    log_bytes: int = 0
    peak_bytes: dict[str, int] = field(default_factory=dict)

    def late_percent(self) -> float:
        """Returns the share of the frames that arrive too late or not at all.

        An answer without any audio counts as one frame that is missing.
        """
        due = sum(max(1, outcome.frames_due) for outcome in self.outcomes)
        in_time = sum(each <= LATE_S for outcome in self.outcomes for each in outcome.av_offsets_s)
        return 100 * max(0, due - in_time) / max(1, due)

    def cpu_percent(self) -> float:
        """Returns the share of a core that the gateway used."""
        return 100 * self.cpu_s / max(1e-9, self.wall_s)

    def whole(self) -> int:
        """Returns the number of questions that were answered completely."""
        return sum(outcome.fate is Fate.WHOLE for outcome in self.outcomes)

    def problems(self) -> Counter[str]:
        """Returns why the others were not, each with its number."""
        others = (each for each in self.outcomes if each.fate is not Fate.WHOLE)
        return Counter(f"{each.fate}: {each.why}" for each in others)


@dataclass(frozen=True)
class Mesh:
    """A running mesh.

    Attributes:
        supervisor: Its processes.
        logs: The folder of their logs.
        http: The address of the HTTP edge.
    """

    supervisor: Supervisor
    logs: Path
    http: str

    def address(self, service: str) -> str:
        """Returns the gRPC address of a service."""
        return self.supervisor.statuses[service].member.address

    def process_id(self, service: str) -> int:
        """Returns the process of a service."""
        process_id = self.supervisor.statuses[service].process_id
        if process_id is None:
            raise RuntimeError(f"{service} does not run")
        return process_id

    def log_bytes(self) -> int:
        """Returns the size of all logs, rotated ones included."""
        return sum(path.stat().st_size for path in self.logs.glob("*.log*"))


@contextlib.asynccontextmanager
async def guarded_mesh() -> AsyncIterator[Mesh]:
    """Starts a mesh that demands a token, with its own memory, for the body."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        (data / "models").symlink_to(ServiceSettings.from_environment().data_dir / "models")
        layout = free_layout()
        environment = {"ANIMA_DATA_DIR": str(data), "ANIMA_TOKEN": TOKEN}
        supervisor = Supervisor(layout, log_folder=Path(folder), environment=environment)
        async with supervisor.running():
            await supervisor.until_settled()
            if not supervisor.is_ready():
                raise RuntimeError("\n".join(map(supervisor.log_tail, supervisor.statuses)))
            yield Mesh(supervisor, Path(folder), layout.http_address)


@contextlib.asynccontextmanager
async def flooded(mesh: Mesh, **counts: int) -> AsyncIterator[None]:
    """Floods a mesh from other processes for the body.

    Args:
        mesh: The mesh.
        **counts: How many of each kind, see `bench.strangers`.
    """
    heavy = {name: counts.pop(name) for name in KINDS if name in counts}
    addresses = {name: mesh.address(name) for name in ("gateway", "avatar", "memory")}
    async with contextlib.AsyncExitStack() as stack:
        if counts:
            arguments = ["-m", "bench.strangers.flooding", mesh.http, *_options(counts)]
            await stack.enter_async_context(_flooding(arguments))
        if heavy:
            options = _options(addresses | {"http": mesh.http} | heavy)
            await stack.enter_async_context(
                _flooding(["-m", "bench.strangers.heavy_floods", *options])
            )
        yield


def _options(values: dict[str, Any]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items()]


@contextlib.asynccontextmanager
async def _flooding(arguments: Sequence[str]) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env={**os.environ, "ANIMA_TOKEN": TOKEN},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if process.stdout is None or await process.stdout.readline() != b"flooding\n":
            raise RuntimeError("the floods have not begun")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def talk(mesh: Mesh, seconds: float, into: Phase) -> None:
    """Lets all sessions talk for a time, and adds what was seen."""
    cpu, start_s = ProcessorTime(mesh.process_id("gateway")), time.monotonic()
    log_bytes = mesh.log_bytes()
    watching = asyncio.create_task(_watch_memory(mesh, into))
    async with open_channel(mesh.address("gateway"), token=TOKEN) as channel:
        stub = cast("GatewayServiceAsyncStub", gateway.GatewayServiceStub(channel))
        talked = await asyncio.gather(
            *(_session(stub, number, start_s + seconds) for number in range(SESSIONS))
        )
    watching.cancel()
    await asyncio.wait([watching])
    into.outcomes += [outcome for outcomes in talked for outcome in outcomes]
    into.cpu_s += cpu.used_s()
    into.wall_s += time.monotonic() - start_s
    into.log_bytes += mesh.log_bytes() - log_bytes


async def _session(stub: GatewayServiceAsyncStub, number: int, until_s: float) -> list[Outcome]:
    talker = Talker(stub, gateway.ConverseConfig(user_id=f"floods-{number}", language="en"))
    await talker.open()
    outcomes = []
    for question in itertools.cycle(QUESTIONS[number:] + QUESTIONS[:number]):
        outcomes.append(await talker.ask(question))
        if time.monotonic() > until_s or not talker.alive:
            break
    await talker.close()
    return outcomes


async def _watch_memory(mesh: Mesh, into: Phase) -> None:
    while True:
        for service in mesh.supervisor.statuses:
            with contextlib.suppress(psutil.Error, RuntimeError):
                process = psutil.Process(mesh.process_id(service))
                family = [process, *process.children(recursive=True)]
                held = sum(int(each.memory_info().rss) for each in family)
                into.peak_bytes[service] = max(held, into.peak_bytes.get(service, 0))
        await asyncio.sleep(_SAMPLE_EVERY_S)


ALL_ELSE: Final = {"probes": 16, "photos": 24, "items": 8, "held": 8, "imports": 8}
"""The floods that come at the end, beside those whose cost is compared."""


async def measure(
    rounds: int, seconds: float, floods: dict[str, int], *, each: bool
) -> dict[str, Phase]:
    """Measures phases without floods, with them, and with all floods of the review.

    Args:
        rounds: How often phases without and with floods alternate.
        seconds: The length of a phase.
        floods: How many there are of each kind.
        each: Whether each kind of flood comes alone, too.
    """
    calm, stormy, worst = Phase(), Phase(), Phase()
    alone = {f"{name} alone": Phase() for name in (floods | ALL_ELSE)} if each else {}
    async with guarded_mesh() as mesh:
        await talk(mesh, 0, Phase())  # what is done once is not counted
        await talk(mesh, 0, Phase())
        for _ in range(rounds):
            await talk(mesh, seconds, calm)
            async with flooded(mesh, **floods):
                await talk(mesh, seconds, stormy)
        # A photo is normal work: its peak belongs to the normal one.
        async with flooded(mesh, photos=1):
            await talk(mesh, seconds, calm_with_a_photo := Phase())
        for service, peak in calm_with_a_photo.peak_bytes.items():
            calm.peak_bytes[service] = max(peak, calm.peak_bytes[service])
        for (kind, count), phase in zip((floods | ALL_ELSE).items(), alone.values(), strict=False):
            async with flooded(mesh, **{kind: count}):
                await talk(mesh, seconds, phase)
        async with flooded(mesh, **floods, **ALL_ELSE):
            await talk(mesh, seconds, worst)
    return {"without": calm, "with floods": stormy, **alone, "all floods": worst}


def show(phases: dict[str, Phase], console: Console) -> None:
    """Prints the figures."""
    machine = f"{psutil.cpu_count()} cores {platform.machine()}"
    table = Table(
        "", "questions", "whole", "frames", "late or missing %", "gateway CPU %", "log bytes",
        title=f"{SESSIONS} sessions talk with a picture ({machine})",
    )  # fmt: skip
    for name, phase in phases.items():
        frames = sum(len(outcome.av_offsets_s) for outcome in phase.outcomes)
        table.add_row(
            name, str(len(phase.outcomes)), str(phase.whole()), str(frames),
            f"{phase.late_percent():.2f}", f"{phase.cpu_percent():.1f}", str(phase.log_bytes),
        )  # fmt: skip
    console.print(table)
    for name, phase in phases.items():
        for why, count in phase.problems().items():
            console.print(f"{name}: {count} x {why}", highlight=False)
    memory = Table("service", *(f"MiB {name}" for name in phases), title="peak memory")
    for service in phases["without"].peak_bytes:
        peaks = (phase.peak_bytes[service] for phase in phases.values())
        memory.add_row(service, *(f"{peak / 2**20:.0f}" for peak in peaks))
    console.print(memory)


def judge(calm: Phase, stormy: Phase, worst: Phase) -> Goals:
    """Compares the figures with their goals."""
    goals = Goals()
    more = stormy.late_percent() - calm.late_percent()
    goals.at_most("late or missing frames, points more", more, MOST_LATE_POINTS, form=".2f")
    ratio = stormy.cpu_s / stormy.wall_s / (calm.cpu_s / calm.wall_s)
    goals.at_most("gateway CPU, ratio", ratio, MOST_CPU_RATIO, form=".2f")
    goals.at_most("log, bytes", stormy.log_bytes, MOST_LOG_BYTES, form=".0f")
    for service, normal in calm.peak_bytes.items():
        peak = max(stormy.peak_bytes[service], worst.peak_bytes[service])
        goals.at_most(f"{service} memory, ratio", peak / normal, MOST_MEMORY_RATIO, form=".2f")
    return goals


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--idle", type=int, default=2_000)
    parser.add_argument("--half-heads", type=int, default=200)
    parser.add_argument("--silent", type=int, default=80)
    parser.add_argument("--each", action="store_true", help="let each kind come alone, too")
    parser.add_argument("--no-goals", action="store_true", help="print the figures alone")
    options = parser.parse_args()
    floods = {
        "idle": options.idle,
        "half_heads": options.half_heads,
        "silent": options.silent,
    }
    phases = asyncio.run(measure(options.rounds, options.seconds, floods, each=options.each))
    show(phases, Console(width=160))
    goals = judge(phases["without"], phases["with floods"], phases["all floods"])
    if not options.no_goals:
        goals.exit_if_missed()


if __name__ == "__main__":
    main()
