"""The whole mesh with its embedded engines: the wait for the first synced frame, and its cost.

A question is spoken into `Converse` through a microphone that is always on. The clock starts at the
end of the last audible sample, as a person would count, and stops when the first media message with
a frame reaches the client. The figure therefore includes endpointing, recognition, recall, the
first clause, its synthesis, rendering, encoding and all hops.

The people who ask are those of `bench.talkers.people`. The face answers them once with flite's
voice and, where the natural voices were pulled, once with Kokoro's; no question is asked twice with
the same voice, so no clause of an answer is in its cache.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import platform
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import psutil
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from anima.common import v1 as common
from anima.gateway import v1 as gateway
from anima.tts import v1 as tts
from bench.goals import Goals
from bench.talkers.people import RATE_HZ, Utterance, questions, recorded, until_measured
from cli.mesh.layout import free_layout
from cli.mesh.supervisor import Supervisor
from gateway.stages.spec import AnswerKind, needed_for
from services.runtime.calls.channels import open_channel
from services.runtime.config.settings import ServiceSettings

if TYPE_CHECKING:
    from anima.gateway.v1.gateway_pb2_grpc import GatewayServiceAsyncStub
    from anima.tts.v1.tts_pb2_grpc import TtsServiceAsyncStub

CHUNK_SAMPLES: Final = RATE_HZ // 50
PAUSE_S: Final = 0.5
"""The pause between the end of an answer and the next question."""
ROOM: Final = 4
"""The largest sample of a quiet room; a microphone never produces digital silence."""

FLITE: Final = "slt"
KOKORO: Final = "kokoro-af_heart"
LATEST_S: Final = MappingProxyType({FLITE: (0.50, 0.70), KOKORO: (0.75, None)})
"""The voices of the face, with the goals for p50 and p95 of the first synced frame."""


@dataclass(frozen=True, kw_only=True)
class TurnFigures:
    """The times of one turn, in seconds from the end of speech; infinite if nothing arrived."""

    question: str
    understood: str
    transcript_s: float
    first_text_s: float
    first_media_s: float
    first_frame_s: float
    speculative: bool
    spans: Sequence[gateway.StageSpan]

    def waterfall(self) -> str:
        """Returns the time of each stage's first output, in ms from the end of speech."""
        # The gateway counts from the end that the recogniser detected, the client from the last
        # audible sample.
        zero_ms = 1000 * self.first_frame_s - self._first_ms("playout")
        begun = [span.start_us for span in self.spans if span.stage in ("memory", "llm")]
        times_ms = {"begun": zero_ms + min(begun, default=0) / 1000}
        for stage in needed_for(AnswerKind.VIDEO):
            times_ms[stage] = zero_ms + self._first_ms(stage)
        times_ms["transcript"] = 1000 * self.transcript_s
        times_ms["frame"] = 1000 * self.first_frame_s
        mark = "early" if self.speculative else "new"
        return f"{mark:5} " + " ".join(f"{name} {ms:4.0f}" for name, ms in times_ms.items())

    def _first_ms(self, stage: str) -> float:
        outputs = [span.first_output_us for span in self.spans if span.stage == stage]
        return min(outputs, default=0) / 1000


class NotUnderstoodError(Exception):
    """The recogniser heard no words in a question."""


class Client:
    """One conversation, timed at the client."""

    def __init__(self, stub: GatewayServiceAsyncStub) -> None:
        self._call: Any = stub.Converse()
        self._writing = asyncio.Lock()
        self._speech = np.zeros(0, np.int16)
        self._speech_ended = asyncio.get_running_loop().create_future()
        self._open = False
        self._microphone: asyncio.Task[None] | None = None

    async def open(self, config: gateway.ConverseConfig) -> None:
        """Sends the config and waits until the session is open."""
        await self._call.write(gateway.ConverseRequest(config=config))
        first = await self._call.read()
        if not first.HasField("session_started"):
            raise RuntimeError(f"expected session_started, got {first}")
        self._open = True
        self._microphone = asyncio.create_task(self._listen_on())

    async def close(self) -> None:
        """Ends the conversation."""
        self._open = False
        if self._microphone is not None:
            # Not cancelled: in grpc.aio, cancelling a pending write cancels the whole call.
            await self._microphone
        await self._call.done_writing()
        self._call.cancel()

    async def _write(self, request: gateway.ConverseRequest) -> None:
        async with self._writing:  # a call allows one write at a time
            await self._call.write(request)

    async def ask(self, question: str, speech: NDArray[np.int16]) -> TurnFigures:
        """Speaks a question at the pace of a microphone and times the start of the answer."""
        await asyncio.sleep(PAUSE_S)
        self._speech_ended = asyncio.get_running_loop().create_future()
        self._speech = speech
        times: dict[str, float] = {}
        understood = ""
        while True:
            event = await self._call.read()
            now = time.perf_counter()
            kind = event.WhichOneof("event")
            if kind == "user_transcript" and event.user_transcript.final:
                understood = event.user_transcript.text
                times.setdefault("transcript", now)
            elif kind == "text_delta":
                times.setdefault("text", now)
            elif kind == "media":
                times.setdefault("media", now)
                if event.media.frames:
                    times.setdefault("frame", now)
                    await self._write(gateway.ConverseRequest(stop=gateway.Stop()))
            elif kind == "notice" and event.notice.kind == gateway.NOTICE_KIND_NOT_UNDERSTOOD:
                await self._speech_ended
                raise NotUnderstoodError
            elif kind == "notice":
                raise RuntimeError(f"the mesh reported: {event.notice.text}")
            elif kind == "turn_ended" and "frame" in times:
                ended = event.turn_ended
                break
        end = await self._speech_ended
        since = {name: moment - end for name, moment in times.items()}
        nothing = float("inf")
        return TurnFigures(
            question=question,
            understood=understood,
            transcript_s=since.get("transcript", nothing),
            first_text_s=since.get("text", nothing),
            first_media_s=since.get("media", nothing),
            first_frame_s=since.get("frame", nothing),
            speculative=ended.speculative,
            spans=ended.spans,
        )

    async def _listen_on(self) -> None:
        """Sends the audio of the microphone, silence included, until the conversation ends."""
        room = np.random.default_rng(1)
        start = time.perf_counter()
        sent = 0
        while self._open:
            chunk = room.integers(-ROOM, ROOM + 1, CHUNK_SAMPLES, dtype=np.int16)
            spoken, self._speech = self._speech[:CHUNK_SAMPLES], self._speech[CHUNK_SAMPLES:]
            chunk[: spoken.size] = spoken
            # A microphone delivers a chunk after its last sample has been recorded.
            await asyncio.sleep(
                max(0.0, start + (sent + chunk.size) / RATE_HZ - time.perf_counter())
            )
            if spoken.size and not self._speech.size:
                self._speech_ended.set_result(start + (sent + spoken.size) / RATE_HZ)
            audio = common.AudioChunk(
                start_sample=sent, sample_rate_hz=RATE_HZ, pcm=chunk.astype("<i2").tobytes()
            )
            sent += chunk.size
            await self._write(gateway.ConverseRequest(audio=audio))


@contextlib.asynccontextmanager
async def local_mesh() -> AsyncIterator[Supervisor]:
    """Starts a mesh of processes, with its own memory, for the length of the block."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        (data / "models").symlink_to(ServiceSettings.from_environment().data_dir / "models")
        supervisor = Supervisor(
            free_layout(), log_folder=Path(folder), environment={"ANIMA_DATA_DIR": str(data)}
        )
        async with supervisor.running():
            await supervisor.until_settled()
            if not supervisor.is_ready():
                raise RuntimeError(
                    "\n".join(supervisor.log_tail(name) for name in supervisor.statuses)
                )
            yield supervisor


def peak_memory_mib(process_id: int) -> float:
    """Returns the sum of the peak resident sizes of a service and its workers, MiB."""
    workers = [child.pid for child in psutil.Process(process_id).children(recursive=True)]
    return sum(_peak_kib(each) for each in (process_id, *workers)) / 1024


def _peak_kib(process_id: int) -> int:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("the kernel does not report VmHWM")


def alternating(some: Sequence[Utterance], others: Sequence[Utterance]) -> Iterator[Utterance]:
    """Yields three of the first, one of the second, and so on, until both are used up."""
    rest = iter(others)
    for number, each in enumerate(some):
        yield each
        if number % 3 == 2:
            yield from itertools.islice(rest, 1)
    yield from rest


async def measure(turns: int, console: Console, goals: Goals) -> None:
    """Runs the turns with each voice of the face and prints the figures."""
    async with local_mesh() as supervisor:
        members = {name: status.member for name, status in supervisor.statuses.items()}
        async with open_channel(members["tts"].address) as channel:
            stub = cast("TtsServiceAsyncStub", tts.TtsServiceStub(channel))
            known = {voice.name for voice in await until_measured(stub)}
            speech = list(alternating(await questions(stub, turns), recorded()))[:turns]
        async with open_channel(members["gateway"].address) as channel:
            converse = cast("GatewayServiceAsyncStub", gateway.GatewayServiceStub(channel))
            for voice, latest_s in LATEST_S.items():
                if voice in known:
                    console.print(f"\nthe face speaks with {voice}")
                    figures = await _converse(converse, voice, speech, console)
                    _print_latency(console, figures)
                    _judge(goals, voice, figures, latest_s)
        starts = Table("service", "ready after s", "peak RSS MiB", title="services")
        for name, status in supervisor.statuses.items():
            if status.process_id is not None and status.ready_after_s is not None:
                starts.add_row(
                    name, f"{status.ready_after_s:.1f}", f"{peak_memory_mib(status.process_id):.0f}"
                )
        console.print(starts)


async def _converse(
    stub: GatewayServiceAsyncStub, voice: str, speech: Sequence[Utterance], console: Console
) -> list[TurnFigures]:
    client = Client(stub)
    await client.open(
        gateway.ConverseConfig(
            input_sample_rate_hz=RATE_HZ, user_id=f"bench-{voice}", language="en", voice=voice
        )
    )
    figures: list[TurnFigures] = []
    for said in speech:
        try:
            figures.append(await client.ask(said.text, said.samples))
        except NotUnderstoodError:
            console.print(f"  {said.who:17} {said.text!r} -> NOT UNDERSTOOD, not counted")
            continue
        console.print(
            f"  {said.who:17} {said.text!r} -> {figures[-1].understood!r} "
            f"{figures[-1].first_frame_s:.3f} s"
        )
        console.print(f"         {figures[-1].waterfall()}")
    await client.close()
    return figures


def _judge(
    goals: Goals,
    voice: str,
    figures: Sequence[TurnFigures],
    latest_s: tuple[float, float | None],
) -> None:
    values = np.array([each.first_frame_s for each in figures])
    for percentile, most in zip((50, 95), latest_s, strict=True):
        if most is not None:
            what = f"{voice}: first synced frame after the end of speech, p{percentile}, s"
            goals.at_most(what, float(np.percentile(values, percentile)), most, form=".3f")


def _print_latency(console: Console, figures: list[TurnFigures]) -> None:
    machine = f"{psutil.cpu_count()} cores, {platform.machine()}"
    title = f"end of speech to ..., seconds, {len(figures)} turns at the client ({machine})"
    table = Table("", "p50", "p95", "max", title=title)
    for label, field in (
        ("final transcript", "transcript_s"),
        ("first text", "first_text_s"),
        ("first audio", "first_media_s"),
        ("first synced frame", "first_frame_s"),
    ):
        values = np.array([getattr(each, field) for each in figures])
        table.add_row(label, *(f"{np.percentile(values, p):.3f}" for p in (50, 95, 100)))
    console.print(table)


def main() -> None:
    """Runs from the command line; exits with an error if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=1000, help="at most, with each voice")
    parser.add_argument("--no-goals", action="store_true", help="do not judge the figures")
    options = parser.parse_args()
    goals = Goals()
    asyncio.run(measure(options.turns, Console(width=120), goals))
    if not options.no_goals:
        goals.exit_if_missed()


if __name__ == "__main__":
    main()
