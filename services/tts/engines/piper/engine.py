"""The engine `piper`: a person's own voices, phrase by phrase, with exact times of every sound."""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from services.runtime.config.settings import ServiceSettings
from services.runtime.engine import EngineInfo
from services.runtime.engine_options import EngineOptions
from services.tts.engine import (
    Emit,
    EngineUnavailableError,
    Pace,
    SpeechRequest,
    VoiceInfo,
    languages_of,
)
from services.tts.engines.late import Late
from services.tts.engines.piper.files import ENGINE, LICENCE, PiperVoice, voices_in
from services.tts.engines.piper.speaker import PiperSpeaker
from services.tts.phrase_by_phrase import speak_clauses


class PiperOptions(EngineOptions):
    """The options of the engine `piper`, read from `ANIMA_TTS_*`."""

    piper_voices: str = ""
    """The folder of voices, each NAME.onnx with NAME.onnx.json; empty: `tts/piper` in the data
    folder."""
    piper_threads: int = Field(default=1, ge=1, le=64)
    """Threads for one phrase; more than one takes cores from the face."""
    piper_voices_in_memory: int = Field(default=2, ge=1, le=1000)
    """How many voices are in memory; each takes about 130 MiB."""


class PiperEngine:
    """Voices trained with Piper, from a folder.

    Raises:
        SettingsError: An option is invalid.
    """

    options_type = PiperOptions
    preferences: ClassVar[Mapping[str, int]] = {"*": 60}

    def __init__(self, settings: ServiceSettings) -> None:
        self._options = PiperOptions.read(settings)
        folder = self._options.piper_voices
        self._folder = Path(folder).expanduser() if folder else settings.data_dir / "tts" / "piper"
        self._voices: dict[str, PiperVoice] = {}
        self._speaker: Late[PiperSpeaker] = Late("no voices of Piper")
        self._pace: Pace | None = None

    async def open(self) -> None:
        """Looks for the voices.

        Raises:
            EngineUnavailableError: There are none.
        """
        found = await asyncio.to_thread(voices_in, self._folder)
        if not found:
            raise EngineUnavailableError(f"there are no voices of Piper in {self._folder}")
        self._voices = {each.info.name: each for each in found}

    async def warm_up(self) -> None:
        """Loads the first voice and measures how fast it speaks here.

        Raises:
            EngineUnavailableError: It cannot be loaded.
        """
        await asyncio.to_thread(self._speaker.load, self._load)

    def _load(self) -> PiperSpeaker:
        speaker = PiperSpeaker(
            self._voices,
            threads=self._options.piper_threads,
            most_loaded=self._options.piper_voices_in_memory,
        )
        self._measure(speaker)
        return speaker

    async def measure(self) -> None:
        """Measures once more how fast the first voice speaks here."""
        await asyncio.to_thread(lambda: self._measure(self._speaker.get()))

    def _measure(self, speaker: PiperSpeaker) -> None:
        self._pace = speaker.measure().best(self._pace)

    @property
    def pace(self) -> Pace | None:
        """How fast the first voice speaks on this machine; None before `warm_up`."""
        return self._pace

    def describe(self) -> EngineInfo:
        """Describes the engine."""
        onnxruntime = importlib.metadata.version("onnxruntime")
        return EngineInfo(
            name=ENGINE,
            version=f"onnxruntime {onnxruntime}",
            licence=LICENCE,
            languages=languages_of(self.voices()),
        )

    def voices(self) -> Sequence[VoiceInfo]:
        """Lists the voices, each named `piper-<file>`, with several speakers also by speaker."""
        return [voice.info for voice in self._voices.values()]

    def synthesize(self, request: SpeechRequest, emit: Emit) -> None:
        """Speaks a segment phrase by phrase, once the engine is warm."""
        speak_clauses(request, emit, self._speaker.get().clause)

    async def close(self) -> None:
        """Releases those who wait for a voice."""
        self._speaker.close()
