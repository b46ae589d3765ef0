"""The engine `auto`: a fast recogniser for English, and Whisper for all other languages.

Whisper is optional: without it only English is understood, and the log and `DescribeEngine` say so.
"""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from services.asr.engine import AsrEngine, DecoderConfig, SegmentDecoder
from services.asr.engines.auto.decoder import ENGLISH, AutoDecoder
from services.asr.engines.whisper.engine import WhisperEngine
from services.asr.settings import AsrSettings
from services.runtime.engine import EngineInfo
from services.runtime.engine_options import EngineOptions, Texts
from services.runtime.engines import engine_names, load_engine
from services.runtime.errors import FailedPrecondition
from services.runtime.observing.logs import get_logger

_PREFERRED: Final = ("moonshine", "pocketsphinx")


class AutoOptions(EngineOptions):
    """The settings that the engine `auto` reads from `ANIMA_ASR_*`, besides those of `whisper`."""

    auto_english: Texts = Field(default=_PREFERRED)
    """The engines for English, separated by "|": the first one that can run here is used."""


class AutoEngine:
    """A `services.asr.engine.AsrEngine` made of two others."""

    options_type: ClassVar = AutoOptions

    def __init__(self, settings: AsrSettings) -> None:
        self._settings = settings
        self._names = AutoOptions.read(settings).auto_english
        self._english: AsrEngine | None = None
        self._whisper: WhisperEngine | None = WhisperEngine(settings)

    async def open(self) -> None:
        """Opens the first engine for English that can run, and Whisper if it is installed.

        Raises:
            FailedPrecondition: No engine for English can run; the text has the reason of each.
        """
        self._english = await self._open_english()
        if self._whisper is None:
            return
        try:
            await self._whisper.open()
        except FailedPrecondition as error:
            get_logger().warning("only English is understood", why=error.message)
            await self._whisper.close()
            self._whisper = None

    def describe(self) -> EngineInfo:
        """Returns the languages of both engines, English first."""
        english = self._opened().describe()
        if self._whisper is None:
            return EngineInfo(
                name="auto",
                version=f"{english.name} {english.version}",
                licence=english.licence,
                languages=(ENGLISH,),
            )
        others = self._whisper.describe()
        licences = dict.fromkeys((english.licence, others.licence))
        return EngineInfo(
            name="auto",
            version=f"{english.name} {english.version}, {others.name} {others.version}",
            licence=" AND ".join(licences),
            languages=(ENGLISH, *(tag for tag in others.languages if tag != ENGLISH)),
        )

    async def open_decoder(self, config: DecoderConfig) -> SegmentDecoder:
        """Opens the decoder of the language, or of both engines if it is to be detected."""
        english, whisper = self._opened(), self._whisper
        detects = len(config.candidates) > 1
        if whisper is None or (config.language == ENGLISH and not detects):
            return await english.open_decoder(config)
        if not detects or ENGLISH not in config.candidates:
            return await whisper.open_decoder(config)
        first = await english.open_decoder(config)
        try:
            second = await whisper.open_decoder(config)
        except BaseException:
            first.close()
            raise
        return AutoDecoder(english=first, whisper=second, candidates=config.candidates)

    async def close(self) -> None:
        """Closes both engines."""
        for engine in (self._english, self._whisper):
            if engine is not None:
                await engine.close()

    def _opened(self) -> AsrEngine:
        if self._english is None:
            raise RuntimeError("the engine is not open")
        return self._english

    async def _open_english(self) -> AsrEngine:
        faults = []
        installed = engine_names("asr")
        for name in self._names:
            if name not in installed:
                faults.append(f"{name} is not installed")
                continue
            engine: AsrEngine = load_engine("asr", name, self._settings)
            try:
                await engine.open()
            except FailedPrecondition as error:
                await engine.close()
                faults.append(error.message)
            else:
                return engine
        raise FailedPrecondition(f"no engine for English can run: {'; '.join(faults)}")
