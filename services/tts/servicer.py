"""The servicer of the speech service: protos in, engine calls, protos out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from types import MappingProxyType
from typing import Any

import grpc

from anima.tts.v1 import (
    GENDER_FEMALE,
    GENDER_MALE,
    GENDER_UNSPECIFIED,
    VOICE_USE_ALWAYS,
    VOICE_USE_IN_TIME,
    VOICE_USE_LATE,
    VOICE_USE_LOADING,
    VOICE_USE_TOO_LATE,
    VOICE_USE_TOO_SLOW,
    DescribeEngineRequest,
    DescribeEngineResponse,
    ListVoicesRequest,
    ListVoicesResponse,
    SynthesizeRequest,
    SynthesizeResponse,
    TtsServiceServicer,
    Voice,
    add_TtsServiceServicer_to_server,
)
from services.runtime.calls.streams import open_stream
from services.runtime.limits.progress import MAX_CALL_S, StreamLimits
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute
from services.runtime.process.heap import settle_again
from services.runtime.process.tasks import Tasks
from services.runtime.server import Stage
from services.tts.engine import (
    Gender,
    MeasuredEngine,
    SpeechChunk,
    SpeechRequest,
    TtsEngine,
    VoiceInfo,
)
from services.tts.reading import words
from services.tts.requests import check_config
from services.tts.selection import Suitability, Use, is_too_slow
from services.tts.settings import TtsSettings
from services.tts.stream import SEGMENTS_AT_WORK, SynthesisStream
from services.tts.voices import AUTO, VoiceBook, load_engines, open_engines, warm_engines

Context = grpc.aio.ServicerContext[Any, Any]

_GENDERS = MappingProxyType(
    {
        Gender.UNKNOWN: GENDER_UNSPECIFIED,
        Gender.FEMALE: GENDER_FEMALE,
        Gender.MALE: GENDER_MALE,
    }
)


_USES = MappingProxyType(
    {
        Use.ALWAYS: VOICE_USE_ALWAYS,
        Use.LOADING: VOICE_USE_LOADING,
        Use.IN_TIME: VOICE_USE_IN_TIME,
        Use.LATE: VOICE_USE_LATE,
        Use.TOO_LATE: VOICE_USE_TOO_LATE,
        Use.TOO_SLOW: VOICE_USE_TOO_SLOW,
    }
)


MEASURED_AGAIN_AFTER_S = (30.0, 120.0, 600.0)
"""A machine is busy while a mesh starts: an engine that seems too slow is measured again later."""


class TtsServicer(TtsServiceServicer):
    """Answers the calls of `anima.tts.v1.TtsService`."""

    def __init__(
        self,
        *,
        engines: Sequence[TtsEngine],
        compute: Compute,
        settings: TtsSettings,
        measured_again_after_s: Sequence[float] = MEASURED_AGAIN_AFTER_S,
    ) -> None:
        self._measured_again_after_s = measured_again_after_s
        self._all = engines
        self._engines: Sequence[TtsEngine] = ()
        self._book = VoiceBook(())
        self._compute = compute
        self._settings = settings
        self._tasks = Tasks("tts engines")

    async def warm_up(self) -> None:
        """Opens the engines and synthesises a word with each.

        With "auto" those that take seconds to load are loaded while the others speak already.
        """
        opened = await open_engines(self._all, self._settings)
        prompt = [engine for engine in opened if not isinstance(engine, MeasuredEngine)]
        if self._settings.engine != AUTO or not prompt:
            opened = await warm_engines(opened, self._settings)
        elif len(prompt) < len(opened):
            self._tasks.start(self._take_in_late_engines(opened), name="late voices")
        self._use(opened)
        await self._compute.run(words.load)
        for engine in prompt:
            await self._compute.run(_speak_a_word, engine)

    async def _take_in_late_engines(self, opened: Sequence[TtsEngine]) -> None:
        engines = await warm_engines(opened, self._settings)
        self._use(engines)
        settle_again()
        for after_s in self._measured_again_after_s:
            slow = [
                engine
                for engine in engines
                if isinstance(engine, MeasuredEngine) and is_too_slow(engine)
            ]
            if not slow:
                return
            await asyncio.sleep(after_s)
            for engine in slow:
                await engine.measure()
            self._use(engines)

    def _use(self, engines: Sequence[TtsEngine]) -> None:
        """Chooses among these engines from now on; open streams keep the voice they have."""
        self._engines = engines
        self._book = VoiceBook(engines, by_preference=self._settings.engine == AUTO)
        if not all(engine.pace for engine in engines if isinstance(engine, MeasuredEngine)):
            get_logger().info("voices are still loading")
            return
        for language, note in self._book.notes().items():
            best = self._book.speaking(language, field="language")[0]
            get_logger().info("voice chosen", language=language, voice=best.name, why=note)

    async def close(self) -> None:
        """Closes the engines, including those that could not be opened."""
        await self._tasks.close()
        self._compute.close()
        for engine in self._all:
            await engine.close()

    async def Synthesize(  # noqa: N802
        self, request_iterator: AsyncIterator[SynthesizeRequest], context: Context
    ) -> AsyncIterator[SynthesizeResponse]:
        """Speaks one turn."""
        config, requests = await open_stream(request_iterator)
        stream = SynthesisStream(
            check_config(config, self._book),
            book=self._book,
            compute=self._compute,
            settings=self._settings,
        )
        async with aclosing(stream.run(requests)) as answers:
            async for answer in answers:
                yield answer

    async def ListVoices(  # noqa: N802
        self, request: ListVoicesRequest, context: Context
    ) -> ListVoicesResponse:
        """Lists the voices, the best of each language first."""
        voices = (
            self._book.speaking(request.language, field="language")
            if request.language
            else self._book.all()
        )
        return ListVoicesResponse(
            voices=[_voice(voice, self._book.suitability(voice)) for voice in voices]
        )

    async def DescribeEngine(  # noqa: N802
        self, request: DescribeEngineRequest, context: Context
    ) -> DescribeEngineResponse:
        """Describes the engines, the preferred one first."""
        return DescribeEngineResponse(
            engines=[
                engine.describe().message(capacity=self._settings.capacity)
                for engine in self._engines
            ]
        )


def _voice(voice: VoiceInfo, suitability: Suitability | None) -> Voice:
    message = Voice(
        name=voice.name,
        display_name=voice.display_name,
        languages=voice.languages,
        gender=_GENDERS[voice.gender],
        sample_rate_hz=voice.sample_rate_hz,
        engine=voice.engine,
        licence=voice.licence,
    )
    if suitability is not None:
        message.note = suitability.reason
        message.use = _USES[suitability.use]
        if suitability.pace is not None:
            message.first_clause_ms = round(1000 * suitability.pace.first_clause_s)
            message.real_time_factor = round(suitability.pace.real_time_factor, 2)
    return message


def build(settings: TtsSettings) -> Stage:
    """Builds the stage with the engines in the settings.

    Raises:
        SettingsError: An engine is unknown or unavailable.
    """
    engines = load_engines(settings)
    compute = Compute(threads=SEGMENTS_AT_WORK * settings.capacity, name="tts")
    servicer = TtsServicer(engines=engines, compute=compute, settings=settings)
    return Stage(
        service="anima.tts.v1.TtsService",
        add_to_server=lambda server: add_TtsServiceServicer_to_server(servicer, server),
        warm_up=servicer.warm_up,
        counted_methods=frozenset({"Synthesize"}),
        limits={
            "Synthesize": StreamLimits(
                silence_s=settings.stall_timeout_s,
                unread_s=settings.stall_timeout_s,
                last="end_of_text",
                total_s=MAX_CALL_S,
            )
        },
        close=servicer.close,
    )


def _speak_a_word(engine: TtsEngine) -> None:
    """Makes an engine load its voice and lexicon before the first user waits for it."""

    def discard(chunk: SpeechChunk) -> bool:
        del chunk
        return True

    engine.synthesize(SpeechRequest(text="One.", voice=engine.voices()[0]), discard)
