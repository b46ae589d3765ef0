"""Speed and accuracy of the recognisers: `python -m bench.asr [--engine NAME ...] [--cores 1]`.

Recordings of real people (testing/speech/recordings.py):

- cards/001..005.wav: five commands, 9.7 s; librivox/*.wav: five stretches of Austen, 24.7 s;
  goforward.raw, something.raw: two commands. From Debian's pocketsphinx-testdata.
- beckett.wav, 10 s; two_cities.wav, 44 s. `anima models pull moonshine-recordings`.

They go to the real gRPC service on loopback: once clean, once with pink noise 15 dB below the
speech, once 5 dB below, and once with a hundred likely names of which none is said. The clean ones
of less than 20 s come at the pace of a microphone. The last figure is that of a button that is
released with the last sound: from there to the final text.

Engines that understand Chinese also hear 20 Chinese sentences of Kokoro (bench/asr_chinese.py), and
the clips of a folder that --clips names.

Words are compared without case and punctuation. Run it on an idle machine: every figure except the
word error rate and the CPU time is wall time. A goal that is missed is an error.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import grpc
import jiwer
import numpy as np
import psutil
from numpy.typing import NDArray

from anima.asr.v1 import AsrServiceStub, RecognizeRequest
from bench.asr_chinese import characters_of, clips_of, spoken_by_kokoro
from bench.goals import Goals
from services.asr.choosing.whisper import missing_steps
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

ENGINES: Final = ("moonshine", "pocketsphinx", "whisper", "auto")
CHINESE: Final = frozenset({"whisper", "auto"})
MOST_WORD_ERRORS: Final = {"moonshine": 6.0, "auto": 6.0}
"""Goals for English, %."""
MOST_CHARACTER_ERRORS: Final = 12.0
"""The goal for Chinese of Kokoro, %."""
MOST_RELEASED_MS: Final = {"moonshine": 150.0, "whisper": 300.0}
"""Goals for the final text after a button was released, median of 2 to 4 s of speech."""
MOST_MORE_ERRORS: Final = 0.5
"""How many more percent of the words may be wrong because of likely names that are not said."""
LIKELY: Final = tuple(Path(__file__).with_name("asr_names.txt").read_text("utf-8").split())
"""Likely names, of which none is said."""
Chinese = Mapping[str, Sequence[Recording]]
"""Recordings by their kind."""
Fields = Mapping[str, object]
"""Fields of a `RecognizeConfig`."""
_ENGLISH: Final[Fields] = {"language": "en"}
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
    channel: grpc.aio.Channel,
    recording: Recording,
    samples: NDArray[np.int16],
    *,
    at_pace: bool = False,
    fields: Fields = _ENGLISH,
) -> Heard:
    """Sends a recording in messages of 20 ms, at the pace of a microphone or at once.

    Args:
        channel: To the service.
        recording: What is said.
        samples: The audio.
        at_pace: Whether it comes as from a microphone.
        fields: Of the config.
    """
    heard = Heard(recording, audio_s=len(samples) / RATE_HZ)
    began = time.perf_counter()
    released = began

    async def microphone() -> AsyncIterator[RecognizeRequest]:
        nonlocal released
        yield config(**fields)
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
    channel: grpc.aio.Channel,
    recordings: Sequence[Recording],
    processes: list[psutil.Process],
    goals: Goals,
    engine: str,
) -> None:
    """Prints the report on one engine and English."""
    clean = [with_silence(one.samples, before_ms=300, after_ms=1500) for one in recordings]
    english: Fields = {
        "language": "en",
        "candidate_languages": ["en", "zh"] if engine == "auto" else [],
    }
    before = cpu_s(processes)
    results = [
        await listen(
            channel,
            one,
            samples,
            at_pace=len(samples) < _LONGEST_AT_PACE_S * RATE_HZ,
            fields=english,
        )
        for one, samples in zip(recordings, clean, strict=True)
    ]
    used = cpu_s(processes) - before
    short = [heard for heard in results if heard.audio_s < _LONGEST_AT_PACE_S]
    show(*delays(short), *rates(results))
    if engine in MOST_WORD_ERRORS:
        most = MOST_WORD_ERRORS[engine]
        goals.at_most(f"{engine}: word error rate, %", error_rate(results), most, form=".1f")
    for ratio_db in NOISES_DB:
        noisy = [
            await listen(channel, one, with_noise(samples, ratio_db), fields=english)
            for one, samples in zip(recordings, clean, strict=True)
        ]
        show(f"word error rate, all, {ratio_db} dB over noise: {error_rate(noisy):.1f} %")
    if engine == "moonshine":
        named = [
            await listen(channel, one, samples, fields={"phrase_hints": LIKELY})
            for one, samples in zip(recordings, clean, strict=True)
        ]
        what = f"{engine}: words wrong because of {len(LIKELY)} names that are not said, %"
        goals.at_most(what, error_rate(named) - error_rate(results), MOST_MORE_ERRORS, form=".1f")
    audio_s = sum(heard.audio_s for heard in results)
    show(f"CPU seconds for each second of audio: {used / audio_s:.3f}")
    released = [
        (await listen(channel, one, until_released(one), at_pace=True, fields=english)).released_ms
        for one in recordings
        if 2.0 <= len(one.samples) / RATE_HZ <= 4.0
    ]
    if released:
        show(spread("button released after 2 to 4 s to final", released))
    if released and engine in MOST_RELEASED_MS:
        what = f"{engine}: button released to final, median, ms"
        goals.at_most(what, statistics.median(released), MOST_RELEASED_MS[engine], form=".0f")
    sizes = [f"{process.memory_info().rss / 2**20:.0f} MiB" for process in processes]
    decoders = f", decoders {', '.join(sizes[1:])}" if sizes[1:] else ""
    show(f"memory: service and client {sizes[0]}{decoders}")


async def measure_chinese(
    channel: grpc.aio.Channel, recordings: Chinese, goals: Goals, engine: str
) -> None:
    """Prints the character error rates of one engine."""
    chinese: Fields = {
        "language": "zh",
        "candidate_languages": ["zh", "en"] if engine == "auto" else [],
    }
    for what, spoken in recordings.items():
        if not spoken:
            continue
        heard = [
            await listen(
                channel,
                one,
                with_silence(one.samples, before_ms=300, after_ms=1500),
                fields=chinese,
            )
            for one in spoken
        ]
        rate = 100 * jiwer.cer(
            [characters_of(each.recording.text) for each in heard],
            [characters_of(each.text) for each in heard],
        )
        label = f"{engine}: character error rate, Chinese, {what}, %"
        if what == "Kokoro":
            goals.at_most(label, rate, MOST_CHARACTER_ERRORS, form=".1f")
        else:
            show(f"{label}: {rate:.1f} ({len(spoken)} recordings)")


def fields_for(engine: str, language: str, other: str) -> Fields:
    """Returns the language; `auto` has to find it out."""
    if engine != "auto":
        return {"language": language}
    return {"language": language, "candidate_languages": [language, other]}


def show(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)


def until_released(recording: Recording) -> NDArray[np.int16]:
    """Returns a recording up to its last loud sample."""
    loud = np.flatnonzero(np.abs(recording.samples) > 500)
    return recording.samples[: loud[-1] + 1]


async def bench(options: argparse.Namespace, engine: str, chinese: Chinese, goals: Goals) -> None:
    overrides = {} if options.wait_ms is None else {"final_pass_wait_ms": options.wait_ms}
    settings = AsrSettings.from_environment(
        listen="127.0.0.1:0", engine=engine, final_pass=options.final_pass, **overrides
    )
    show(f"\n{engine}, load average {os.getloadavg()[0]:.1f}, final pass {options.final_pass}")
    if engine in CHINESE and (missing := missing_steps(settings)):
        show(f"not measured; run: {' && '.join(missing)}")
        return
    recordings = [*all_recordings(), *read_aloud(settings)][: options.recordings]
    async with serving(build(settings), settings) as server:
        await server.ready
        own = psutil.Process(os.getpid())
        async with open_channel(server.address) as channel:
            await measure(channel, recordings, [own, *own.children()], goals, engine)
            if engine in CHINESE:
                await measure_chinese(channel, chinese, goals, engine)


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
    parser.add_argument("--clips", type=Path, help="a folder of Chinese recordings")
    options = parser.parse_args()
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    goals = Goals()
    engines = options.engine or ENGINES
    chinese: dict[str, Sequence[Recording]] = {}
    if CHINESE & set(engines):
        chinese["Kokoro"] = asyncio.run(spoken_by_kokoro(options.recordings))
        chinese["clips"] = clips_of(options.clips) if options.clips else []
    for engine in engines:
        asyncio.run(bench(options, engine, chinese, goals))
    if options.recordings is None:
        goals.exit_if_missed()


if __name__ == "__main__":
    main()
