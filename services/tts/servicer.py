"""The servicer of the speech service: protos in, engine calls, protos out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from types import MappingProxyType
from typing import Any

import grpc

from anima.tts.v1 import (
    GENDER_FEMALE,
    GENDER_MALE,
    GENDER_UNSPECIFIED,
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
from services.runtime.server import Stage
from services.tts.engine import Gender, SpeechChunk, SpeechRequest, TtsEngine, VoiceInfo
from services.tts.requests import check_config
from services.tts.settings import TtsSettings
from services.tts.stream import SEGMENTS_AT_WORK, SynthesisStream
from services.tts.voices import AUTO, VoiceBook, load_engines, open_engines

Context = grpc.aio.ServicerContext[Any, Any]

_GENDERS = MappingProxyType(
    {
        Gender.UNKNOWN: GENDER_UNSPECIFIED,
        Gender.FEMALE: GENDER_FEMALE,
        Gender.MALE: GENDER_MALE,
    }
)


class TtsServicer(TtsServiceServicer):
    """Answers the calls of `anima.tts.v1.TtsService`."""

    def __init__(
        self,
        *,
        engines: Sequence[TtsEngine],
        compute: Compute,
        settings: TtsSettings,
    ) -> None:
        self._all = engines
        self._engines: Sequence[TtsEngine] = ()
        self._book = VoiceBook(())
        self._compute = compute
        self._settings = settings

    async def warm_up(self) -> None:
        """Opens the engines and synthesises a word with each."""
        self._engines = await open_engines(self._all, self._settings)
        self._book = VoiceBook(self._engines, by_preference=self._settings.engine == AUTO)
        for engine in self._engines:
            await self._compute.run(_speak_a_word, engine)
        for language, note in self._book.notes().items():
            best = self._book.speaking(language, field="language")[0]
            get_logger().info("voice chosen", language=language, voice=best.name, why=note)

    async def close(self) -> None:
        """Closes the engines, including those that could not be opened."""
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
            voices=[_voice(voice, note=self._book.reason(voice)) for voice in voices]
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


def _voice(voice: VoiceInfo, *, note: str) -> Voice:
    return Voice(
        name=voice.name,
        display_name=voice.display_name,
        languages=voice.languages,
        gender=_GENDERS[voice.gender],
        sample_rate_hz=voice.sample_rate_hz,
        engine=voice.engine,
        licence=voice.licence,
        note=note,
    )


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
