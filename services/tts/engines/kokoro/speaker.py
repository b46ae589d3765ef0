"""Speaks clauses: read, spoken by the model, cut, and kept for the next time."""

from __future__ import annotations

import os
import threading
import time
from typing import Final

from services.tts.engine import Pace, SpeechRequest, VoiceInfo
from services.tts.engines.kokoro.clause_cache import ClauseCache, key_of
from services.tts.engines.kokoro.model import MAX_SYMBOLS, SAMPLE_RATE_HZ, KokoroModel
from services.tts.engines.kokoro.reading import CHINESE, read
from services.tts.engines.kokoro.voices import file_of
from services.tts.neural.clause import Clause, clause_of, joined, with_pitch
from services.tts.neural.units import Unit, split_units

_FIRST_CLAUSE: Final = "Hello, I am Anima,"
_SENTENCE: Final = "The museum opens at ten in the morning and closes at six."
_MEASURED_TIMES: Final = 3
_MEASURING_S: Final = 2.0
_MAX_CACHED_CHARS: Final = 80


class KokoroSpeaker:
    """A model and the clauses that it has spoken; `clause` may be called from several threads."""

    def __init__(self, model: KokoroModel, cache: ClauseCache) -> None:
        self._model = model
        self._cache = cache
        # More calls at a time than cores would only make each of them late.
        self._places = threading.BoundedSemaphore(os.cpu_count() or 1)

    def clause(self, phrase: str, request: SpeechRequest) -> Clause:
        """Returns a spoken phrase of a request, from the cache if it is there."""
        if len(phrase) > _MAX_CACHED_CHARS:
            return self._synthesize(phrase, request)
        key = key_of(
            self._model.sha256,
            request.voice.name,
            request.rate_percent,
            request.pitch_percent,
            phrase,
        )
        clause = self._cache.get(key)
        if clause is None:
            clause = self._synthesize(phrase, request)
            self._cache.put(key, clause)
        return clause

    def measure(self, voice: VoiceInfo) -> Pace:
        """Measures how fast the model speaks on this machine; clauses in the cache count as 0 s."""
        read("你好", language=CHINESE)  # loads the dictionaries before the first user waits

        # One thread's own time: other services that start now would make the clock's a guess.
        clock = time.thread_time if self._model.threads == 1 else time.perf_counter

        def first_clause_s() -> float:
            started_s = clock()
            self._synthesize(_FIRST_CLAUSE, SpeechRequest(text=_FIRST_CLAUSE, voice=voice))
            return clock() - started_s

        until_s = time.perf_counter() + _MEASURING_S
        best_s = first_clause_s()
        # the first call also allocates; a busy machine should not start later for it
        for _ in range(_MEASURED_TIMES):
            if time.perf_counter() < until_s:
                best_s = min(best_s, first_clause_s())
        units = read(_SENTENCE, language=voice.languages[0])
        symbols = self._model.known("".join(unit.symbols for unit in units))
        started_s = clock()
        spoken = self._model.speak(symbols, voice=file_of(voice), speed=1.0)
        computed_s = clock() - started_s
        return Pace(
            first_clause_s=best_s * (1 - self._cache.share),
            # of all that the model makes, as its speed is usually given
            real_time_factor=computed_s * SAMPLE_RATE_HZ / len(spoken.samples),
        )

    def close(self) -> None:
        """Writes down how often clauses were said again."""
        self._cache.close()

    def _synthesize(self, phrase: str, request: SpeechRequest) -> Clause:
        units = [
            Unit(known, unit.ipa, unit.stress, unit.char)
            for unit in read(phrase, language=request.voice.languages[0])
            if (known := self._model.known(unit.symbols))
        ]
        if not any(unit.ipa for unit in units):
            return Clause.silent()
        clauses: list[Clause] = []
        for part in split_units(units, max_symbols=MAX_SYMBOLS):
            symbols = "".join(unit.symbols for unit in part)
            with self._places:
                spoken = self._model.speak(
                    symbols,
                    voice=file_of(request.voice),
                    # then played faster by the pitch
                    speed=request.rate_percent / request.pitch_percent,
                )
            clauses.append(clause_of(part, spoken))
        return with_pitch(joined(clauses), request.pitch_percent, sample_rate_hz=SAMPLE_RATE_HZ)
