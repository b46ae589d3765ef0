from __future__ import annotations

import threading

import numpy as np
import psutil
import pytest

from services.tts.engine import Gender, SpeechChunk, SpeechRequest
from services.tts.engines.flite import FliteEngine, transliterate
from testing.streams.tts import pitch_hz
from tests.unit.tts.speaking import utter, voice_named

VOICES = ["slt", "rms", "awb", "kal16"]


def test_the_voices(flite: FliteEngine) -> None:
    voices = {voice.name: voice for voice in flite.voices()}
    assert set(VOICES) <= set(voices)
    assert voices["slt"].gender == Gender.FEMALE
    assert {voice.licence for voice in voices.values()} == {"MIT-Festival"}


@pytest.mark.parametrize("voice", VOICES)
def test_marks_fit_the_sound(flite: FliteEngine, voice: str) -> None:
    spoken = utter(flite, voice, "Papa, happy, a map, open up. Stop it!")
    loud = float(
        np.mean([spoken.level(p) for p in spoken.phonemes if p.ipa and p.ipa[0] in "aɑæʌoe"])
    )
    lips = float(np.mean([spoken.level(p) for p in spoken.phonemes if p.ipa == "p"]))
    silence = float(np.mean([spoken.level(p) for p in spoken.phonemes if not p.ipa]))
    assert loud > 2 * lips
    assert silence < 0.15 * loud
    assert np.abs(spoken.samples.astype(int)).max() < 32_767


def test_words_keep_their_place_in_the_text(flite: FliteEngine) -> None:
    spoken = utter(flite, "slt", "Hello, “café” — Dr. Smith’s 3.14, $5.50 (it’s O.K.)!")
    assert spoken.word_texts == ["Hello", "café", "Dr", "Smith’s", "3.14", "$5.50", "it’s", "O.K"]


def test_what_it_cannot_read_is_passed_over(flite: FliteEngine) -> None:
    spoken = utter(flite, "slt", "One 你好 two.")
    assert spoken.word_texts == ["One 你好", "two"]
    assert len(utter(flite, "slt", "你好").samples) == 0


def test_transliteration_keeps_the_way_back() -> None:
    text = "“Ça” coûte 5 €—ok…"
    ascii_text, chars = transliterate(text)
    assert ascii_text == '"Ca" coute 5  euros  , ok...'
    assert len(chars) == len(ascii_text)
    assert text[chars[ascii_text.index("ok")]] == "o"


@pytest.mark.parametrize("voice", VOICES)
def test_the_same_text_always_sounds_the_same(flite: FliteEngine, voice: str) -> None:
    first = utter(flite, voice, "Hello there.").samples
    utter(flite, "slt", "Other words.")
    assert np.array_equal(first, utter(flite, voice, "Hello there.").samples)


def test_threads_do_not_disturb_each_other(flite: FliteEngine) -> None:
    alone = utter(flite, "slt", "Hello there, my friend.").samples
    different: list[int] = []

    def work() -> None:
        for number in range(4):
            utter(flite, "rms", f"Number {number}.", rate_percent=150)
            if not np.array_equal(alone, utter(flite, "slt", "Hello there, my friend.").samples):
                different.append(number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not different


def test_rate_changes_the_duration(flite: FliteEngine) -> None:
    text = "Speech can be slow, or it can be very fast indeed."
    plain, slow, fast = (
        len(utter(flite, "slt", text, rate_percent=percent).samples) for percent in (100, 50, 200)
    )
    assert slow / plain == pytest.approx(2.0, rel=0.1)
    assert fast / plain == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("percent", [75, 150])
def test_pitch_is_heard(flite: FliteEngine, voice: str, percent: int) -> None:
    text = "My mother may buy a new piano on Monday morning."
    plain = utter(flite, voice, text)
    shifted = utter(flite, voice, text, pitch_percent=percent)
    ratio = pitch_hz(shifted.samples, 16_000) / pitch_hz(plain.samples, 16_000)
    assert ratio == pytest.approx(percent / 100, rel=0.12)


def test_it_streams_and_stops_at_once(flite: FliteEngine) -> None:
    heard: list[SpeechChunk] = []

    def hear_three(chunk: SpeechChunk) -> bool:
        heard.append(chunk)
        return len(heard) < 3

    voice = voice_named(flite, "slt")
    flite.synthesize(SpeechRequest(text="A long sentence, really. " * 80, voice=voice), hear_three)
    assert len(heard) == 3
    assert heard[0].phonemes
    assert 0 < len(heard[1].samples) <= 0.2 * voice.sample_rate_hz


def test_phrases_join_without_a_double_pause(flite: FliteEngine) -> None:
    spoken = utter(
        flite, "slt", "This is the first of the two sentences that are spoken here. And more."
    )
    silences = [p.end_sample - p.start_sample for p in spoken.phonemes[1:-1] if not p.ipa]
    assert silences
    assert max(silences) < 0.35 * spoken.sample_rate_hz


def test_utterances_are_freed(flite: FliteEngine) -> None:
    process = psutil.Process()
    for _ in range(20):
        utter(flite, "kal16", "Warm the heap with a sentence of some length, please.")
    before = process.memory_info().rss
    for _ in range(150):
        utter(flite, "kal16", "Warm the heap with a sentence of some length, please.")
    # One utterance holds about 0.5 MB; a leak of all would be 75 MB.
    assert process.memory_info().rss - before < 8_000_000
