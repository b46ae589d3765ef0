from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar

import numpy as np
import pytest

from anima.common.v1 import END_REASON_COMPLETE, END_REASON_ERROR
from anima.tts.v1 import SynthesizeConfig, SynthesizeRequest
from services.runtime.engine import EngineInfo
from services.runtime.process.compute import Compute
from services.tts import speech, stream
from services.tts.engine import (
    Emit,
    Gender,
    PhonemeTiming,
    SpeechChunk,
    SpeechRequest,
    VoiceInfo,
)
from services.tts.requests import check_config
from services.tts.settings import TtsSettings
from services.tts.stream import SynthesisStream
from services.tts.voices import VoiceBook
from testing.streams.tts import TURN_ID, end_of_text, segments

RATE = 10_000


class ToneEngine:
    """Speaks half a second per character; "!" fails, "?" never ends."""

    preferences: ClassVar[Mapping[str, int]] = {}

    def __init__(self) -> None:
        self.emitted = 0
        self.ended = threading.Semaphore(0)

    def voices(self) -> Sequence[VoiceInfo]:
        return [
            VoiceInfo(
                name="tone",
                display_name="Tone",
                languages=("en",),
                gender=Gender.UNKNOWN,
                sample_rate_hz=RATE,
                engine="tone",
                licence="Apache-2.0",
            )
        ]

    def synthesize(self, request: SpeechRequest, emit: Emit) -> None:
        try:
            self._speak(request.text, emit)
        finally:
            self.ended.release()

    def _speak(self, text: str, emit: Emit) -> None:
        number = 0
        for character in text:
            if character == "!":
                raise ValueError("secret of the engine")
            while emit(self._tone(number)):
                self.emitted += 1
                number += 1
                if character != "?":
                    break
            else:
                return

    def _tone(self, number: int) -> SpeechChunk:
        sound = PhonemeTiming(
            ipa="a",
            stress=0,
            chars=(0, 1),
            start_sample=number * RATE // 2,
            end_sample=(number + 1) * RATE // 2,
        )
        return SpeechChunk(samples=np.full(RATE // 2, 500, np.int16), phonemes=(sound,))

    async def open(self) -> None:
        pass

    def describe(self) -> EngineInfo:
        return EngineInfo(name="tone", version="1", licence="Apache-2.0")

    async def close(self) -> None:
        pass


@pytest.fixture
def engine() -> ToneEngine:
    return ToneEngine()


@pytest.fixture
def compute() -> Iterator[Compute]:
    compute = Compute(threads=2, name="test")
    yield compute
    compute.close()


def stream_of(engine: ToneEngine, compute: Compute) -> SynthesisStream:
    book = VoiceBook([engine])
    config = check_config(SynthesizeConfig(turn_id=TURN_ID), book)
    return SynthesisStream(config, book=book, compute=compute, settings=TtsSettings())


async def sent(requests: Sequence[SynthesizeRequest]) -> AsyncIterator[SynthesizeRequest]:
    for request in requests:
        yield request


async def test_a_failing_segment_is_told_and_the_next_one_spoken(
    engine: ToneEngine, compute: Compute
) -> None:
    requests = [*segments(["aa!", "!", "aa."]), end_of_text()]
    answers = [answer async for answer in stream_of(engine, compute).run(sent(requests))]
    ends = [answer.segment_end for answer in answers if answer.HasField("segment_end")]
    assert [end.reason for end in ends] == [
        END_REASON_ERROR, END_REASON_COMPLETE, END_REASON_COMPLETE,
    ]  # fmt: skip
    assert "tone" in ends[0].error
    assert "secret" not in ends[0].error
    assert ends[2].samples.start_sample == ends[0].samples.sample_count
    assert ends[2].samples.sample_count > RATE


async def test_a_slow_reader_holds_the_engine_back(engine: ToneEngine, compute: Compute) -> None:
    read_s = 0.0
    async with aclosing(stream_of(engine, compute).run(sent(segments(["a?"])))) as answers:
        async for answer in answers:
            read_s += len(answer.audio.pcm) / 2 / RATE
            # Three messages of 400 ms wait, one is being cut, and the rest of a piece is held back.
            assert engine.emitted / 2 <= read_s + 2
            if read_s > 20:
                break
    assert await asyncio.to_thread(engine.ended.acquire, timeout=10)


async def test_the_next_segment_is_made_while_one_is_sent(
    engine: ToneEngine, compute: Compute
) -> None:
    async with aclosing(
        stream_of(engine, compute).run(sent(segments(["a?", "a", "a"])))
    ) as answers:
        async for answer in answers:
            if answer.HasField("audio"):
                break
        # The second segment ends although the first one never does; there is no room for the third
        # yet.
        assert await asyncio.to_thread(engine.ended.acquire, timeout=10)
        assert not engine.ended.acquire(blocking=False)
    assert await asyncio.to_thread(engine.ended.acquire, timeout=10)


async def test_an_engine_that_needs_seconds_is_not_taken_for_a_frozen_one(
    engine: ToneEngine, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    thinking = threading.Event()
    tone = engine._tone

    def slow_tone(number: int) -> SpeechChunk:
        if number == 1:
            thinking.wait(60)
        return tone(number)

    monkeypatch.setattr(engine, "_tone", slow_tone)
    monkeypatch.setattr(speech, "_STILL_WORKING_EVERY_S", 0.01)
    requests = [*segments(["aa"]), end_of_text()]
    working = samples = 0
    async for answer in stream_of(engine, compute).run(sent(requests)):
        working += answer.HasField("working")
        samples += len(answer.audio.pcm) // 2
        if working == 3:
            thinking.set()
    assert working >= 3
    assert samples > RATE


async def test_leaving_stops_the_engine(engine: ToneEngine, compute: Compute) -> None:
    async with aclosing(stream_of(engine, compute).run(sent(segments(["a?", "a?"])))) as answers:
        async for answer in answers:
            if answer.HasField("audio"):
                break
    for _ in range(2):
        assert await asyncio.to_thread(engine.ended.acquire, timeout=10)
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert tasks == []


async def test_a_fault_in_the_look_ahead_ends_the_stream(
    engine: ToneEngine, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("a fault of the stage")

    monkeypatch.setattr(stream, "producer", fault)
    with pytest.raises(ZeroDivisionError):
        async for _ in stream_of(engine, compute).run(sent([*segments(["aa."]), end_of_text()])):
            pass
