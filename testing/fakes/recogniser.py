# ruff: noqa: N802 (method names come from the protos)
"""The scripted recogniser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import anima.asr.v1 as asr
import anima.common.v1 as common
from services.runtime.errors import AnimaError
from testing.fakes.script import Fake, breakable


@dataclass(kw_only=True)
class FakeAsr(Fake, asr.AsrServiceServicer):
    """Hears speech where the audio is loud; the texts come from `texts`, in order.

    Attributes:
        texts: The results.
        end_silence_ms: The silence that ends an utterance; None: what the config says.
        guess_silence_ms: The silence after which a guess is sent; None: never.
        guesses: The texts of the guesses, in order; then the result that will come. One with a
            "|" comes as two guesses at the same sample.
        confidence: How sure it says it is of a guess; None: it does not tell.
        partial: What is recognised at the start of speech.
        languages: The languages of the results, in order; then they are not told.
        knows: The languages that it says it understands; empty: it does not tell.
        more_languages: What it says an operator can do.
        fail_after_start: Raised once speech has started.
        fail_with: Raised at the next audio.
        received: Which stream got which audio.
    """

    texts: list[str] = field(default_factory=lambda: ["what can you do"])
    end_silence_ms: int | None = 500
    guess_silence_ms: int | None = None
    guesses: list[str] = field(default_factory=list)
    confidence: float | None = None
    partial: str = "wh"
    languages: list[str] = field(default_factory=list)
    knows: list[str] = field(default_factory=list)
    more_languages: str = ""
    fail_after_start: AnimaError | None = None
    fail_with: AnimaError | None = None
    received: list[tuple[int, bytes]] = field(default_factory=list)

    @breakable
    async def Recognize(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        config, rest = await self.opened(requests)
        stream = len(self.configs)
        await context.write(asr.RecognizeResponse(started=asr.Started(language=config.language)))
        heard = _Ear(config.sample_rate_hz)
        async for request in rest:
            kind = request.WhichOneof("message")
            if kind == "audio":
                self.received.append((stream, request.audio.pcm))
                if self.fail_with is not None:
                    raise self.fail_with
                end_ms = self.end_silence_ms or config.endpointing.end_silence_ms
                for event in heard.add(request.audio.pcm, end_ms, self.guess_silence_ms):
                    if event == "ended":
                        await self._finish(heard, context)
                        return
                    await self._tell(event, heard, context)
            elif kind == "end_of_speech":
                if heard.first >= 0:
                    await self._finish(heard, context)
                return

    async def _tell(self, event: str, heard: _Ear, context: Any) -> None:
        if event == "started":
            started = asr.SpeechStarted(at_sample=heard.first)
            await context.write(asr.RecognizeResponse(speech_started=started))
            partial = asr.Transcript(text=self.partial)
            await context.write(asr.RecognizeResponse(partial=partial))
            if self.fail_after_start is not None:
                raise self.fail_after_start
        elif event == "guessed":
            text = self.guesses.pop(0) if self.guesses else self.texts[0]
            for better in text.split("|"):
                transcript = asr.Transcript(text=better, confidence=self.confidence)
                guess = asr.EndGuess(at_sample=heard.last, transcript=transcript)
                await context.write(asr.RecognizeResponse(end_guess=guess))
        else:
            resumed = asr.SpeechResumed(at_sample=heard.last)
            await context.write(asr.RecognizeResponse(speech_resumed=resumed))

    async def _finish(self, heard: _Ear, context: Any) -> None:
        text = self.texts.pop(0)
        span = common.SampleSpan(start_sample=heard.first, sample_count=heard.last - heard.first)
        words = [common.WordMark(text=text, samples=span)] if text else []
        language = self.languages.pop(0) if self.languages else ""
        final = asr.Transcript(text=text, words=words, samples=span, language=language)
        await context.write(asr.RecognizeResponse(final=final))

    async def DescribeEngine(self, request: Any, context: Any) -> asr.DescribeEngineResponse:
        engine = common.EngineInfo(
            name="scripted", languages=self.knows, more_languages=self.more_languages
        )
        return asr.DescribeEngineResponse(engine=engine)


class _Ear:
    """Finds the loud stretch."""

    def __init__(self, rate_hz: int) -> None:
        self.first = -1
        self.last = 0
        self._rate_hz = rate_hz
        self._end = 0
        self._guessed = False
        self._done = False

    def add(self, pcm: bytes, end_silence_ms: int, guess_silence_ms: int | None) -> list[str]:
        end_silence = end_silence_ms * self._rate_hz // 1000
        guess_silence = self._rate_hz * 3600
        if guess_silence_ms is not None:
            guess_silence = guess_silence_ms * self._rate_hz // 1000
        events = []
        for loud in np.abs(np.frombuffer(pcm, "<i2").astype(int)) > 1000:
            if loud:
                if self.first < 0:
                    self.first = self._end
                    events.append("started")
                self.last = self._end + 1
                if self._guessed:
                    self._guessed = False
                    events.append("resumed")
            self._end += 1
            silence = self._end - self.last
            if self.first < 0 or self._done:
                continue
            if silence >= guess_silence and not self._guessed:
                self._guessed = True
                events.append("guessed")
            if silence >= end_silence:
                self._done = True
                events.append("ended")
        return events
