"""Speaks phrases with the voices of a folder, of which a few are in memory."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from services.runtime.config.settings import SettingsError
from services.runtime.observing.logs import get_logger
from services.tts.engine import Pace, SpeechRequest, VoiceInfo
from services.tts.engines.piper.files import PiperVoice, known
from services.tts.engines.piper.model import PiperModel
from services.tts.neural.clause import Clause, clause_of, joined, with_pitch
from services.tts.neural.espeak_words import spoken_words, stress_of, unstressed
from services.tts.neural.marks import punctuated
from services.tts.neural.units import Unit, Word, split_units

_FIRST_CLAUSE: Final = "1, 2, 3, 4,"
_SENTENCE: Final = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12."
"""Numbers are words in every language."""
_MEASURED_TIMES: Final = 2
_MAX_SYMBOLS: Final = 600
_MARKS: Final = {"…": ".", "—": ","}


class PiperSpeaker:
    """The voices; `clause` may be called from several threads.

    Args:
        voices: By name.
        threads: For one call.
        most_loaded: How many models are in memory; the one not used for longest makes room.
    """

    def __init__(self, voices: Mapping[str, PiperVoice], *, threads: int, most_loaded: int) -> None:
        self._voices = voices
        self._threads = threads
        self._most_loaded = most_loaded
        self._loaded: OrderedDict[str, PiperModel] = OrderedDict()
        self._loading = threading.Lock()
        # More calls at a time than cores would only make each of them late.
        self._places = threading.BoundedSemaphore(os.cpu_count() or 1)

    def clause(self, phrase: str, request: SpeechRequest) -> Clause:
        """Returns a spoken phrase of a request.

        Raises:
            SettingsError: The voice cannot be loaded.
            RuntimeError: What it speaks does not fit its durations.
        """
        voice = self._voices[request.voice.name]
        units = _read(phrase, voice)
        if not any(unit.ipa for unit in units):
            return Clause.silent()
        model = self._model(voice)
        clauses: list[Clause] = []
        for part in split_units(units, max_symbols=_MAX_SYMBOLS):
            with self._places:
                spoken = model.speak(
                    "".join(unit.symbols for unit in part),
                    # then played faster by the pitch
                    speed=request.rate_percent / request.pitch_percent,
                    speaker=voice.speaker,
                )
            clauses.append(clause_of(part, spoken))
        return with_pitch(
            joined(clauses), request.pitch_percent, sample_rate_hz=request.voice.sample_rate_hz
        )

    def measure(self) -> Pace:
        """Measures how fast the first voice that works speaks on this machine.

        Raises:
            SettingsError: None works.
        """
        faults: list[Exception] = []
        for voice in self._voices.values():
            try:
                return self._measure(voice.info)
            except (SettingsError, RuntimeError) as error:
                get_logger().warning(
                    "voice cannot be used", voice=voice.info.name, fault=str(error)
                )
                faults.append(error)
        raise faults[0]

    def _measure(self, info: VoiceInfo) -> Pace:
        clock = time.thread_time if self._threads == 1 else time.perf_counter

        def spoken_s(text: str) -> tuple[float, float]:
            started_s = clock()
            clause = self.clause(text, SpeechRequest(text=text, voice=info))
            return clock() - started_s, len(clause.samples) / info.sample_rate_hz

        spoken_s(_FIRST_CLAUSE)  # also loads and allocates
        first_s = min(spoken_s(_FIRST_CLAUSE)[0] for _ in range(_MEASURED_TIMES))
        computed_s, lasts_s = spoken_s(_SENTENCE)
        return Pace(first_clause_s=first_s, real_time_factor=computed_s / max(lasts_s, 0.1))

    def _model(self, voice: PiperVoice) -> PiperModel:
        name = voice.model.stem
        with self._loading:
            model = self._loaded.get(name)
            if model is None:
                model = PiperModel(voice.model, voice.description, threads=self._threads)
                self._loaded[name] = model
                if len(self._loaded) > self._most_loaded:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(name)
            return model


def _read(phrase: str, voice: PiperVoice) -> list[Unit]:
    """Returns what is spoken for a phrase: the phonemes on which the voice was trained."""
    description = voice.description
    words: list[Word] = []
    for spoken in spoken_words(phrase, identifier=description.espeak.voice):
        units = [
            Unit(symbols, unstressed(phoneme), stress_of(phoneme), spoken.char)
            for phoneme in spoken.phonemes
            if (symbols := known(phoneme, description))
        ]
        if units:
            words.append(Word(spoken.char, units))
    return [
        unit if unit.ipa else Unit(symbols, "", 0, unit.char)
        for unit in punctuated(phrase, words)
        if (symbols := known(_MARKS.get(unit.symbols, unit.symbols), description))
    ]
