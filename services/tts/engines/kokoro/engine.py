"""The engine `kokoro`: clause by clause, from text to sound with the times of words and sounds."""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections.abc import Mapping, Sequence
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
from services.tts.phrase_by_phrase import Phrase, Spoken, speak_phrases

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
        self._opened: KokoroSpeaker | None = None
        self._voices: list[VoiceInfo] = []
        self._pace: Pace | None = None

    async def open(self) -> None:
        """Loads the model and measures how fast it speaks here.

        Raises:
            EngineUnavailableError: The voices have not been pulled, or cannot be loaded.
        """
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        try:
            folder = ModelStore(self._data_dir / "models").path(MODEL_NAME)
            model = KokoroModel(folder, threads=self._options.kokoro_threads)
        except (AnimaError, SettingsError) as error:
            raise EngineUnavailableError(f"no natural voices: {error}") from error
        voices = voices_of(path.stem for path in (folder / VOICES_FOLDER).glob("*.bin"))
        if not voices:
            raise EngineUnavailableError(f"no natural voices: there are none in {folder}")
        cache = ClauseCache(
            max_bytes=self._options.clause_cache_mb * _MIB,
            folder=self._data_dir / "tts" / "clauses",
            max_disk_bytes=self._options.clause_cache_disk_mb * _MIB,
        )
        speaker = KokoroSpeaker(model, cache)
        try:
            self._pace = speaker.measure(voices[0])
        except RuntimeError as error:
            raise EngineUnavailableError(f"no natural voices: {error}") from error
        self._opened, self._voices = speaker, voices

    @property
    def pace(self) -> Pace | None:
        """How fast it speaks on this machine; None before `open`."""
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
        """Speaks a segment phrase by phrase."""

        def speak(phrase: Phrase) -> list[Spoken]:
            clause = self._speaker.clause(phrase.text, request)
            return [clause] if clause.sounds else []

        speak_phrases(request, emit, speak)

    async def close(self) -> None:
        """Writes down what the cache has learned."""
        if self._opened is not None:
            await asyncio.to_thread(self._opened.close)

    @property
    def _speaker(self) -> KokoroSpeaker:
        if self._opened is None:
            raise RuntimeError("the engine is not open")
        return self._opened
