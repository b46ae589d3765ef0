"""The engine `kokoro`: clause by clause, from text to sound with the times of words and sounds."""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from services.runtime.config.settings import ServiceSettings, SettingsError
from services.runtime.engine import EngineInfo
from services.runtime.engine_options import EngineOptions
from services.runtime.errors import AnimaError
from services.runtime.models.store import ModelStore
from services.tts.engine import (
    Emit,
    EngineUnavailableError,
    Pace,
    SpeechRequest,
    VoiceInfo,
    languages_of,
)
from services.tts.engines.kokoro.clause_cache import ClauseCache
from services.tts.engines.kokoro.model import MODEL_NAME, VOICES_FOLDER, KokoroModel
from services.tts.engines.kokoro.speaker import KokoroSpeaker
from services.tts.engines.kokoro.voices import ENGINE, LICENCE, voices_of
from services.tts.engines.late import Late
from services.tts.phrase_by_phrase import speak_clauses

_MIB: Final = 2**20


class KokoroOptions(EngineOptions):
    """The options of the engine `kokoro`, read from `ANIMA_TTS_*`."""

    kokoro_threads: int = Field(default=1, ge=1, le=64)
    """Threads for one clause; more than one takes cores from the face."""
    clause_cache_mb: int = Field(default=32, ge=0, le=4096)
    """Memory for clauses that may be said again; 32 MiB hold about ten minutes of speech."""
    clause_cache_disk_mb: int = Field(default=0, ge=0, le=65_536)
    """Disk space for them in the data folder, so that they outlive a restart; 0: none. The files
    are speech, and may be about a person."""


class KokoroEngine:
    """Kokoro-82M, pulled by `anima models pull voices`.

    Raises:
        SettingsError: An option is invalid.
    """

    options_type = KokoroOptions
    preferences: ClassVar[Mapping[str, int]] = {"*": 70}

    def __init__(self, settings: ServiceSettings) -> None:
        self._options = KokoroOptions.read(settings)
        self._data_dir = settings.data_dir
        self._folder = Path()
        self._voices: list[VoiceInfo] = []
        self._speaker: Late[KokoroSpeaker] = Late("no natural voices")
        self._pace: Pace | None = None

    async def open(self) -> None:
        """Looks for the voices.

        Raises:
            EngineUnavailableError: They have not been pulled.
        """
        await asyncio.to_thread(self._find)

    def _find(self) -> None:
        try:
            self._folder = ModelStore(self._data_dir / "models").path(MODEL_NAME)
        except (AnimaError, SettingsError) as error:
            raise EngineUnavailableError(f"no natural voices: {error}") from error
        self._voices = voices_of(path.stem for path in (self._folder / VOICES_FOLDER).glob("*.bin"))
        if not self._voices:
            raise EngineUnavailableError(f"no natural voices: there are none in {self._folder}")

    async def warm_up(self) -> None:
        """Loads the model and measures how fast it speaks here.

        Raises:
            EngineUnavailableError: It cannot be loaded.
        """
        await asyncio.to_thread(self._speaker.load, self._load)

    def _load(self) -> KokoroSpeaker:
        model = KokoroModel(self._folder, threads=self._options.kokoro_threads)
        cache = ClauseCache(
            max_bytes=self._options.clause_cache_mb * _MIB,
            folder=self._data_dir / "tts" / "clauses",
            max_disk_bytes=self._options.clause_cache_disk_mb * _MIB,
        )
        speaker = KokoroSpeaker(model, cache)
        self._measure(speaker)
        return speaker

    async def measure(self) -> None:
        """Measures once more how fast it speaks here."""
        await asyncio.to_thread(lambda: self._measure(self._speaker.get()))

    def _measure(self, speaker: KokoroSpeaker) -> None:
        self._pace = speaker.measure(self._voices[0]).best(self._pace)

    @property
    def pace(self) -> Pace | None:
        """How fast it speaks on this machine; None before `warm_up`."""
        return self._pace

    def describe(self) -> EngineInfo:
        """Describes the engine."""
        onnxruntime = importlib.metadata.version("onnxruntime")
        return EngineInfo(
            name=ENGINE,
            version=f"Kokoro-82M v1.0 int8 (onnxruntime {onnxruntime})",
            licence=LICENCE,
            languages=languages_of(self._voices),
        )

    def voices(self) -> Sequence[VoiceInfo]:
        """Lists the voices, each named `kokoro-<voice file>`."""
        return self._voices

    def synthesize(self, request: SpeechRequest, emit: Emit) -> None:
        """Speaks a segment phrase by phrase, once the model is loaded."""
        speak_clauses(request, emit, self._speaker.get().clause)

    async def close(self) -> None:
        """Writes down what the cache has learned."""
        if (speaker := self._speaker.close()) is not None:
            await asyncio.to_thread(speaker.close)
