"""Measures the speech engines: first audio, real-time factor, and the whole service over gRPC."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from statistics import median

from bench.talkers.people import until_measured
from services.runtime.calls.channels import open_channel
from services.runtime.observing.logs import configure_logging
from services.runtime.server import serving
from services.tts.engine import SpeechChunk, SpeechRequest, TtsEngine, VoiceInfo
from services.tts.servicer import build
from services.tts.settings import TtsSettings
from services.tts.voices import load_engines, open_engines, warm_engines
from testing.streams.tts import config, end_of_text, segments, service

VOICES = (
    "slt", "rms", "awb", "kal16", "espeak-en-us", "espeak-cmn", "espeak-de",
    "kokoro-af_heart", "kokoro-zf_xiaoxiao",
)  # fmt: skip
CHINESE = "我可以回答你的问题，也可以给你讲一个故事。"
TEXTS = {
    "espeak-cmn": CHINESE,
    "kokoro-zf_xiaoxiao": CHINESE,
    "espeak-de": "Ich kann deine Fragen beantworten und dir eine Geschichte erzählen.",
}
ENGLISH = "I can answer your questions, and I can tell you a story about the sea."


def measure(engine: TtsEngine, voice: VoiceInfo) -> tuple[float, float, float]:
    """Returns the compute time to the first audio and to all audio, and the audio's duration, s."""
    began = time.perf_counter()
    first: list[float] = []
    samples = 0

    def receive(chunk: SpeechChunk) -> bool:
        nonlocal samples
        if len(chunk.samples) and not first:
            first.append(time.perf_counter() - began)
        samples += len(chunk.samples)
        return True

    engine.synthesize(SpeechRequest(text=TEXTS.get(voice.name, ENGLISH), voice=voice), receive)
    return first[0], time.perf_counter() - began, samples / voice.sample_rate_hz


def bench_engines(runs: int) -> None:
    print("engine  voice              first audio ms   RTF")
    # without a cache of clauses, in which every run but the first would find its own
    settings = TtsSettings.from_environment({**os.environ, "ANIMA_TTS_CLAUSE_CACHE_MB": "0"})
    for engine in asyncio.run(opened(settings)):
        for voice in engine.voices():
            if voice.name in VOICES:
                measured = [measure(engine, voice) for _ in range(runs)]
                first_ms = median(run[0] for run in measured) * 1000
                factor = median(run[1] / run[2] for run in measured)
                print(f"{voice.engine:7} {voice.name:18} {first_ms:14.1f}   {factor:.4f}")
        asyncio.run(engine.close())


async def opened(settings: TtsSettings) -> list[TtsEngine]:
    return await warm_engines(await open_engines(load_engines(settings), settings), settings)


async def bench_service(runs: int) -> None:
    settings = TtsSettings.from_environment(listen="127.0.0.1:0", log_level="error")
    firsts: list[float] = []
    async with serving(build(settings), settings) as server:
        await server.ready
        async with open_channel(server.address, token=settings.token) as channel:
            await until_measured(service(channel))
            for _ in range(runs):
                requests = [config(), *segments([ENGLISH]), end_of_text()]
                began = time.perf_counter()
                first = 0.0
                async for answer in service(channel).Synthesize(iter(requests)):
                    if answer.HasField("audio") and not first:
                        first = time.perf_counter() - began
                firsts.append(first)
    firsts.sort()
    print(f"service, first audio ms: p50 {1000 * median(firsts):.1f}, max {1000 * firsts[-1]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="number of runs of each voice")
    runs = parser.parse_args().runs
    configure_logging(TtsSettings(log_level="error"))
    bench_engines(runs)
    asyncio.run(bench_service(4 * runs))


if __name__ == "__main__":
    main()
