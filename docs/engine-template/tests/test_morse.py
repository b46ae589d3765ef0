"""The engine alone."""

from __future__ import annotations

import numpy as np
import pytest
from anima_morse import MorseEngine
from anima_morse.code import CODE, signals

from services.runtime.config.settings import SettingsError
from services.runtime.engines import engine_names, load_engine
from services.tts.engine import SpeechChunk, SpeechRequest
from services.tts.settings import TtsSettings


def spoken(engine: MorseEngine, text: str) -> list[SpeechChunk]:
    chunks: list[SpeechChunk] = []

    def keep(chunk: SpeechChunk) -> bool:
        chunks.append(chunk)
        return True

    engine.synthesize(SpeechRequest(text=text, voice=engine.voices()[0]), keep)
    return chunks


def settings(**options: str) -> TtsSettings:
    return TtsSettings(options=options)


def test_the_engine_is_found_by_its_name() -> None:
    assert "morse" in engine_names("tts")
    assert isinstance(load_engine("tts", "morse", settings()), MorseEngine)


def test_paris_takes_fifty_dots_with_the_gap_after_it() -> None:
    assert sum(signal.dots for signal in signals("Paris")) + 7 == 50
    assert CODE["s"] == "..."


def test_words_and_tones_lie_where_they_sound() -> None:
    (chunk,) = spoken(MorseEngine(settings()), "ET, et")
    assert [(word.start_char, word.end_char) for word in chunk.words] == [(0, 2), (4, 6)]
    dot = 16_000 * 60 // 1000
    for phoneme in chunk.phonemes:
        piece = chunk.samples[phoneme.start_sample : phoneme.end_sample].astype(float)
        assert (np.sqrt(np.mean(piece**2)) > 3_000) == (phoneme.ipa == "a")
    assert chunk.phonemes[0].end_sample == dot
    assert chunk.phonemes[-1].end_sample == len(chunk.samples)


def test_what_has_no_code_is_passed_over() -> None:
    assert spoken(MorseEngine(settings()), "日本") == []


def test_options_are_checked() -> None:
    slow = spoken(MorseEngine(settings(words_per_minute="10")), "e")[0]
    assert len(slow.samples) == 2 * len(spoken(MorseEngine(settings()), "e")[0].samples)
    with pytest.raises(SettingsError, match="ANIMA_TTS_WORDS_PER_MINUTE"):
        MorseEngine(settings(words_per_minute="fast"))
