"""Speed and accuracy of the recognisers: `python -m bench.asr [--engine NAME ...] [--cores 1]`.

Recordings of real people (testing/speech/recordings.py):

- cards/001..005.wav: five commands, 9.7 s; librivox/*.wav: five stretches of Austen, 24.7 s;
  goforward.raw, something.raw: two commands. From Debian's pocketsphinx-testdata.
- beckett.wav, 10 s; two_cities.wav, 44 s. `anima models pull moonshine-recordings`.

They go to the real gRPC service on loopback: once clean, once with pink noise 15 dB below the
speech, once 5 dB below. The clean ones of less than 20 s come at the pace of a microphone. The last
figure is that of a button that is released with the last sound: from there to the final text.

Words are compared without case and punctuation. Run it on an idle machine: every figure except the
word error rate and the CPU time is wall time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

import grpc
import jiwer
import numpy as np
import psutil
from numpy.typing import NDArray

from anima.asr.v1 import AsrServiceStub, RecognizeRequest
from services.asr.servicer import build
from services.asr.settings import AsrSettings
from services.runtime.calls.channels import open_channel
from services.runtime.errors import AnimaError
from services.runtime.models.store import ModelStore
from services.runtime.server import serving
from testing.speech.noise import with_noise
from testing.speech.recordings import RATE_HZ, Recording, all_recordings, readers, with_silence
from testing.streams.asr import audio, config, end_of_speech, kind, plain_words
from text.normal import normal

if TYPE_CHECKING:
    from anima.asr.v1.asr_pb2_grpc import AsrServiceAsyncStub

ENGINES: Final = ("moonshine", "pocketsphinx")
NOISES_DB: Final = (15, 5)
_LONGEST_AT_PACE_S: Final = 20.0


@dataclass
class Heard:
    """The result for one recording; all times in ms of wall time."""

    recording: Recording
    text: str = ""
    guess_text: str = ""
    audio_s: float = 0.0
    start_ms: list[float] = field(default_factory=list)
    first_partial_ms: list[float] = field(default_factory=list)
    guess_ms: list[float] = field(default_factory=list)
    final_ms: list[float] = field(default_factory=list)
    released_ms: float = 0.0


async def listen(
    channel: grpc.aio.Channel, recording: Recording, samples: NDArray[np.int16], *, at_pace: bool
) -> Heard:
    """Sends a recording in messages of 20 ms, at the pace of a microphone or at once."""
    heard = Heard(recording, audio_s=len(samples) / RATE_HZ)
    began = time.perf_counter()
    released = began

    async def microphone() -> AsyncIterator[RecognizeRequest]:
        nonlocal released
        yield config()
        for request in audio(samples, chunk_samples=RATE_HZ // 50):
            spoken = (request.audio.start_sample + len(request.audio.pcm) // 2) / RATE_HZ
            if at_pace:
                await asyncio.sleep(began + spoken - time.perf_counter())
            yield request
        released = time.perf_counter()
        yield end_of_speech()

    stub = cast("AsrServiceAsyncStub", AsrServiceStub(channel))
    speech_start = speech_end = 0.0
    async for response in stub.Recognize(microphone()):
        now = time.perf_counter() - began
        match kind(response):
            case "speech_started":
                speech_start = response.speech_started.at_sample / RATE_HZ
                heard.start_ms.append(1000 * (now - speech_start))
            case "partial" if len(heard.first_partial_ms) < len(heard.start_ms):
                heard.first_partial_ms.append(1000 * (now - speech_start))
            case "end_guess":
                speech_end = response.end_guess.at_sample / RATE_HZ
                heard.guess_text = response.end_guess.transcript.text
                heard.guess_ms.append(1000 * (now - speech_end))
            case "final":
                heard.text = f"{heard.text} {response.final.text}".strip()
                heard.final_ms.append(1000 * (now - speech_end))
                heard.released_ms = 1000 * (time.perf_counter() - released)
    return heard


def cpu_s(processes: Iterable[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def spread(label: str, values_ms: Sequence[float]) -> str:
    ordered = sorted(values_ms)
    if not ordered:
        return f"{label}: never"
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return (
        f"{label}: p50 {statistics.median(ordered):.0f} ms, p95 {p95:.0f} ms, "
        f"max {ordered[-1]:.0f} ms"
    )


def error_rate(results: Iterable[Heard]) -> float:
    """Returns the word error rate, %."""
    results = list(results)
    return 100 * jiwer.wer(
        [plain_words(heard.recording.text) for heard in results],
        [plain_words(heard.text) for heard in results],
    )


def delays(results: Sequence[Heard]) -> Iterable[str]:
    for label, name in (
        ("start of speech to speech_started", "start_ms"),
        ("start of speech to first partial", "first_partial_ms"),
        ("end of speech to end_guess", "guess_ms"),
        ("end of speech to final", "final_ms"),
    ):
        yield spread(label, [value for heard in results for value in getattr(heard, name)])
    same = sum(normal(heard.guess_text) == normal(heard.text) for heard in results)
    yield f"last guess equal to the final: {same} of {len(results)}"


def rates(results: Sequence[Heard]) -> Iterable[str]:
    for folder in ("cards", "librivox", "beckett", "two_cities", ""):
        if some := [heard for heard in results if heard.recording.name.startswith(folder)]:
            yield f"word error rate, {folder or 'all'}: {error_rate(some):.1f} %"


async def measure(
    channel: grpc.aio.Channel, recordings: Sequence[Recording], processes: list[psutil.Process]
) -> AsyncIterator[str]:
    """Yields the lines of the report on one engine."""
    clean = [with_silence(one.samples, before_ms=300, after_ms=1500) for one in recordings]
    before = cpu_s(processes)
    results = [
        await listen(channel, one, samples, at_pace=len(samples) < _LONGEST_AT_PACE_S * RATE_HZ)
        for one, samples in zip(recordings, clean, strict=True)
    ]
    used = cpu_s(processes) - before
    short = [heard for heard in results if heard.audio_s < _LONGEST_AT_PACE_S]
    for line in (*delays(short), *rates(results)):
        yield line
    for ratio_db in NOISES_DB:
        noisy = [
            await listen(channel, one, with_noise(samples, ratio_db), at_pace=False)
            for one, samples in zip(recordings, clean, strict=True)
        ]
        yield f"word error rate, all, {ratio_db} dB over noise: {error_rate(noisy):.1f} %"
    audio_s = sum(heard.audio_s for heard in results)
    yield f"CPU seconds for each second of audio: {used / audio_s:.3f}"
    released = [
        (await listen(channel, one, until_released(one), at_pace=True)).released_ms
        for one in recordings
        if 2.0 <= len(one.samples) / RATE_HZ <= 4.0
    ]
    if released:
        yield spread("button released after 2 to 4 s to final", released)
    sizes = [f"{process.memory_info().rss / 2**20:.0f} MiB" for process in processes]
    yield f"memory: service and client {sizes[0]}" + (
        f", decoders {', '.join(sizes[1:])}" if sizes[1:] else ""
    )


def until_released(recording: Recording) -> NDArray[np.int16]:
    """Returns a recording up to its last loud sample."""
    loud = np.flatnonzero(np.abs(recording.samples) > 500)
    return recording.samples[: loud[-1] + 1]


async def bench(options: argparse.Namespace, engine: str) -> None:
    overrides = {} if options.wait_ms is None else {"final_pass_wait_ms": options.wait_ms}
    settings = AsrSettings.from_environment(
        listen="127.0.0.1:0", engine=engine, final_pass=options.final_pass, **overrides
    )
    print(f"\n{engine}, load average {os.getloadavg()[0]:.1f}, final pass {options.final_pass}")
    recordings = [*all_recordings(), *read_aloud(settings)][: options.recordings]
    async with serving(build(settings), settings) as server:
        await server.ready
        own = psutil.Process(os.getpid())
        async with open_channel(server.address) as channel:
            async for line in measure(channel, recordings, [own, *own.children()]):
                print(line, flush=True)


def read_aloud(settings: AsrSettings) -> list[Recording]:
    try:
        return readers(ModelStore(settings.data_dir / "models").path("moonshine-recordings"))
    except AnimaError as error:
        print(f"without beckett.wav and two_cities.wav: {error}")
        return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", action="append", help=f"default: {', '.join(ENGINES)}")
    parser.add_argument("--cores", type=int, default=1, help="cores to run on; 0: all")
    parser.add_argument("--final-pass", default="auto", choices=["auto", "always", "never"])
    parser.add_argument("--wait-ms", type=int, default=None, help="final_pass_wait_ms")
    parser.add_argument("--recordings", type=int, default=None, help="recordings to send; all")
    options = parser.parse_args()
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    for engine in options.engine or ENGINES:
        asyncio.run(bench(options, engine))


if __name__ == "__main__":
    main()
