"""Speed and accuracy of the recogniser: `python -m bench.asr [--final-pass auto]`.

Recordings of real people are sent at the pace of a microphone to the real gRPC service on loopback.
Needs Debian's pocketsphinx-testdata. Run it on an idle machine: every figure except the word error
rate and the CPU time is wall time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import grpc
import jiwer
import psutil

from anima.asr.v1 import AsrServiceStub, RecognizeRequest
from services.asr.servicer import build
from services.asr.settings import AsrSettings
from services.runtime.channels import open_channel
from services.runtime.server import serving
from testing.speech.recordings import RATE_HZ, Recording, all_recordings, with_silence
from testing.streams.asr import audio, config, end_of_speech, kind

if TYPE_CHECKING:
    from anima.asr.v1.asr_pb2_grpc import AsrServiceAsyncStub


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


async def listen(channel: grpc.aio.Channel, recording: Recording) -> Heard:
    """Sends a recording at the pace of a microphone in messages of 20 ms."""
    samples = with_silence(recording.samples, before_ms=300, after_ms=1500)
    heard = Heard(recording, audio_s=len(samples) / RATE_HZ)
    began = time.perf_counter()

    async def microphone() -> AsyncIterator[RecognizeRequest]:
        yield config()
        for request in audio(samples, chunk_samples=RATE_HZ // 50):
            spoken = (request.audio.start_sample + len(request.audio.pcm) // 2) / RATE_HZ
            await asyncio.sleep(began + spoken - time.perf_counter())
            yield request
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
    return heard


def cpu_s(processes: Iterable[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def spread(label: str, values_ms: list[float]) -> str:
    ordered = sorted(values_ms)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return (
        f"{label}: p50 {statistics.median(ordered):.0f} ms, p95 {p95:.0f} ms, "
        f"max {ordered[-1]:.0f} ms"
    )


def report(results: list[Heard], used_cpu_s: float, processes: list[psutil.Process]) -> str:
    lines = [
        spread(label, [value for heard in results for value in getattr(heard, name)])
        for label, name in (
            ("start of speech to speech_started", "start_ms"),
            ("start of speech to first partial", "first_partial_ms"),
            ("end of speech to end_guess", "guess_ms"),
            ("end of speech to final", "final_ms"),
        )
    ]
    for folder in ("cards", "librivox", ""):
        some = [heard for heard in results if heard.recording.name.startswith(folder)]
        if not some:
            continue
        rate = jiwer.wer(
            [heard.recording.text.replace("mister", "mr") for heard in some],
            [heard.text for heard in some],
        )
        lines.append(f"word error rate, {folder or 'all'}: {100 * rate:.1f} %")
    same = sum(heard.guess_text == heard.text for heard in results)
    lines.append(f"guess equal to the final: {same} of {len(results)}")
    audio_s = sum(heard.audio_s for heard in results)
    lines.append(f"CPU seconds for each second of audio: {used_cpu_s / audio_s:.3f}")
    sizes = [f"{process.memory_info().rss / 2**20:.0f} MiB" for process in processes]
    lines.append(f"memory: service and client {sizes[0]}, decoders {', '.join(sizes[1:])}")
    return "\n".join(lines)


async def bench(options: argparse.Namespace) -> None:
    overrides = {} if options.wait_ms is None else {"final_pass_wait_ms": options.wait_ms}
    settings = AsrSettings.from_environment(
        listen="127.0.0.1:0", final_pass=options.final_pass, **overrides
    )
    async with serving(build(settings), settings) as server:
        await server.ready
        recordings = all_recordings()[: options.recordings]
        own = psutil.Process(os.getpid())
        processes = [own, *own.children()]
        async with open_channel(server.address) as channel:
            before = cpu_s(processes)
            results = [await listen(channel, recording) for recording in recordings]
            used = cpu_s(processes) - before
        print(f"load average {os.getloadavg()[0]:.1f}, final pass {options.final_pass}")
        print(report(results, used, processes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--final-pass", default="auto", choices=["auto", "always", "never"])
    parser.add_argument("--wait-ms", type=int, default=None, help="final_pass_wait_ms")
    parser.add_argument("--recordings", type=int, default=None, help="recordings to send; all")
    asyncio.run(bench(parser.parse_args()))


if __name__ == "__main__":
    main()
