"""The whole mesh with its embedded engines: the wait for the first synced frame, and what it costs.

A question is spoken into `Converse` at the pace of a microphone, followed by silence. The clock
starts at the end of the last audible sample, as a person would count, and stops when the first
media message with a frame is at the client. So the figure holds endpointing, recognition, recall,
the first clause, its synthesis, rendering, coding and all hops.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import platform
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import psutil
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from anima.common import v1 as common
from anima.gateway import v1 as gateway
from anima.tts import v1 as tts
from cli.layout import free_layout
from cli.supervisor import Supervisor
from services.runtime.channels import open_channel
from services.runtime.settings import ServiceSettings

if TYPE_CHECKING:
    from anima.gateway.v1.gateway_pb2_grpc import GatewayServiceAsyncStub
    from anima.tts.v1.tts_pb2_grpc import TtsServiceAsyncStub

RATE_HZ: Final = 16_000
CHUNK_SAMPLES: Final = RATE_HZ // 50
SILENCE_S: Final = 3.0
AUDIBLE: Final = 300
"""Samples of a greater magnitude count as speech."""

QUESTIONS: Final = (
    "what can you do",
    "who are you",
    "how does your memory work",
    "can i interrupt you",
    "what languages do you speak",
)
VOICES: Final = ("kal16", "awb", "rms", "slt")


@dataclass(frozen=True, kw_only=True)
class TurnFigures:
    """What one turn took, in seconds from the end of speech; infinite where nothing came."""

    question: str
    understood: str
    transcript_s: float
    first_text_s: float
    first_media_s: float
    first_frame_s: float


async def spoken(stub: TtsServiceAsyncStub, text: str, voice: str) -> NDArray[np.int16]:
    """Return a question spoken by the mesh's TTS: 16 kHz, ending with the last audible sample."""

    async def requests() -> AsyncIterator[tts.SynthesizeRequest]:
        config = tts.SynthesizeConfig(
            turn_id="question", voices=[voice], language="en", sample_rate_hz=RATE_HZ
        )
        yield tts.SynthesizeRequest(config=config)
        yield tts.SynthesizeRequest(text=tts.TextSegment(segment=1, text=text))
        yield tts.SynthesizeRequest(end_of_text=tts.EndOfText())

    pcm = [
        answer.audio.pcm async for answer in stub.Synthesize(requests()) if answer.HasField("audio")
    ]
    samples = np.frombuffer(b"".join(pcm), dtype="<i2")
    return samples[: int(np.flatnonzero(np.abs(samples) > AUDIBLE)[-1]) + 1]


class Client:
    """One conversation, timed at the client."""

    def __init__(self, stub: GatewayServiceAsyncStub) -> None:
        self._call: Any = stub.Converse()
        self._sent_samples = 0
        self._speaking = False
        self._writing = asyncio.Lock()

    async def open(self, config: gateway.ConverseConfig) -> None:
        """Send the config and wait until the session is open."""
        await self._call.write(gateway.ConverseRequest(config=config))
        first = await self._call.read()
        if not first.HasField("session_started"):
            raise RuntimeError(f"expected session_started, got {first}")

    async def close(self) -> None:
        """End the conversation."""
        await self._call.done_writing()
        self._call.cancel()

    async def _write(self, request: gateway.ConverseRequest) -> None:
        async with self._writing:  # a call takes one write at a time
            await self._call.write(request)

    async def ask(self, question: str, speech: NDArray[np.int16]) -> TurnFigures:
        """Speak a question at the pace of a microphone and time the answer's beginning."""
        silence = np.zeros(int(SILENCE_S * RATE_HZ), np.int16)
        end_of_speech = asyncio.get_running_loop().create_future()
        microphone = asyncio.create_task(
            self._speak(np.concatenate([speech, silence]), speech.size, end_of_speech)
        )
        times: dict[str, float] = {}
        understood = ""
        try:
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
                elif kind == "notice":
                    raise RuntimeError(f"the mesh said: {event.notice.text}")
                elif kind in ("turn_ended", "turn_interrupted") and "frame" in times:
                    break
        finally:
            # Not cancelled: in grpc.aio the cancel of a write under way cancels the whole call.
            self._speaking = False
            await microphone
        end = end_of_speech.result()
        since = {name: moment - end for name, moment in times.items()}
        nothing = float("inf")
        return TurnFigures(
            question=question,
            understood=understood,
            transcript_s=since.get("transcript", nothing),
            first_text_s=since.get("text", nothing),
            first_media_s=since.get("media", nothing),
            first_frame_s=since.get("frame", nothing),
        )

    async def _speak(
        self, samples: NDArray[np.int16], speech_samples: int, end_of_speech: asyncio.Future[float]
    ) -> None:
        start = time.perf_counter()
        self._speaking = True
        for first in range(0, samples.size, CHUNK_SAMPLES):
            if not self._speaking:
                return
            chunk = samples[first : first + CHUNK_SAMPLES]
            # A microphone hands a chunk over after its last sample has been heard.
            await asyncio.sleep(
                max(0.0, start + (first + chunk.size) / RATE_HZ - time.perf_counter())
            )
            if not end_of_speech.done() and first + chunk.size >= speech_samples:
                end_of_speech.set_result(start + speech_samples / RATE_HZ)
            audio = common.AudioChunk(
                start_sample=self._sent_samples,
                sample_rate_hz=RATE_HZ,
                pcm=chunk.astype("<i2").tobytes(),
            )
            self._sent_samples += chunk.size
            await self._write(gateway.ConverseRequest(audio=audio))


@contextlib.asynccontextmanager
async def local_mesh() -> AsyncIterator[Supervisor]:
    """Start a mesh of processes, with a memory of its own, for the length of the block."""
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
    """Return the sum of the largest resident sizes of a service and its workers, MiB."""
    workers = [child.pid for child in psutil.Process(process_id).children(recursive=True)]
    return sum(_peak_kib(each) for each in (process_id, *workers)) / 1024


def _peak_kib(process_id: int) -> int:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("the kernel does not tell VmHWM")


async def measure(turns: int, console: Console) -> None:
    """Run the turns and print the figures."""
    async with local_mesh() as supervisor:
        members = {name: status.member for name, status in supervisor.statuses.items()}
        starts = Table("service", "ready after s", "peak RSS MiB", title="services")
        async with open_channel(members["tts"].address) as channel:
            stub = cast("TtsServiceAsyncStub", tts.TtsServiceStub(channel))
            speech = {
                (question, voice): await spoken(stub, question, voice)
                for question in QUESTIONS
                for voice in VOICES
            }
        figures: list[TurnFigures] = []
        async with open_channel(members["gateway"].address) as channel:
            client = Client(cast("GatewayServiceAsyncStub", gateway.GatewayServiceStub(channel)))
            await client.open(
                gateway.ConverseConfig(input_sample_rate_hz=RATE_HZ, user_id="bench", language="en")
            )
            for (question, voice), samples in list(speech.items())[:turns]:
                figures.append(await client.ask(question, samples))
                console.print(
                    f"  {voice:6} {question!r} -> {figures[-1].understood!r} "
                    f"{figures[-1].first_frame_s:.3f} s"
                )
            await client.close()
        _print_latency(console, figures)
        for name, status in supervisor.statuses.items():
            if status.process_id is not None and status.ready_after_s is not None:
                starts.add_row(
                    name, f"{status.ready_after_s:.1f}", f"{peak_memory_mib(status.process_id):.0f}"
                )
        console.print(starts)


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
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=len(QUESTIONS) * len(VOICES))
    asyncio.run(measure(parser.parse_args().turns, Console(width=120)))


if __name__ == "__main__":
    main()
