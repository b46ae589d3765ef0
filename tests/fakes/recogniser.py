# ruff: noqa: N802 (method names come from the protos)
"""The scripted recogniser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import anima.asr.v1 as asr
import anima.common.v1 as common
from tests.fakes.stages import Fake


@dataclass(kw_only=True)
class FakeAsr(Fake, asr.AsrServiceServicer):
    """Hears speech where the audio is loud; the texts come from `texts`, in order."""

    texts: list[str] = field(default_factory=lambda: ["what can you do"])
    end_silence_ms: int = 500
    received: list[tuple[int, bytes]] = field(default_factory=list)

    async def Recognize(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        config, rest = await self.opened(requests)
        stream = len(self.configs)
        await context.write(asr.RecognizeResponse(started=asr.Started(language=config.language)))
        heard = _Ear(config.sample_rate_hz)
        async for request in rest:
            kind = request.WhichOneof("message")
            if kind == "audio":
                self.received.append((stream, request.audio.pcm))
                silence_samples = self.end_silence_ms * config.sample_rate_hz // 1000
                for event in heard.add(request.audio.pcm, silence_samples):
                    if event == "started":
                        at = asr.SpeechStarted(at_sample=heard.first)
                        await context.write(asr.RecognizeResponse(speech_started=at))
                        partial = asr.Transcript(text="wh")
                        await context.write(asr.RecognizeResponse(partial=partial))
                    else:
                        await self._finish(heard, context)
                        return
            elif kind == "end_of_speech":
                if heard.first >= 0:
                    await self._finish(heard, context)
                return

    async def _finish(self, heard: _Ear, context: Any) -> None:
        text = self.texts.pop(0)
        span = common.SampleSpan(start_sample=heard.first, sample_count=heard.last - heard.first)
        words = [common.WordMark(text=text, samples=span)] if text else []
        final = asr.Transcript(text=text, words=words, samples=span)
        await context.write(asr.RecognizeResponse(final=final))

    async def DescribeEngine(self, request: Any, context: Any) -> asr.DescribeEngineResponse:
        return asr.DescribeEngineResponse(engine=common.EngineInfo(name="scripted"))


class _Ear:
    """Finds the loud stretch."""

    def __init__(self, rate_hz: int) -> None:
        self.first = -1
        self.last = 0
        self._end = 0
        self._done = False

    def add(self, pcm: bytes, silence_samples: int) -> list[str]:
        samples = np.abs(np.frombuffer(pcm, "<i2").astype(int))
        events = []
        for loud in samples > 1000:
            if loud:
                if self.first < 0:
                    self.first = self._end
                    events.append("started")
                self.last = self._end + 1
            self._end += 1
            if self.first >= 0 and not self._done and self._end - self.last >= silence_samples:
                self._done = True
                events.append("ended")
        return events
