from __future__ import annotations

import threading

import numpy as np
import pytest

from services.tts.engine import SpeechChunk, SpeechRequest
from services.tts.engines.espeak import EspeakEngine, pitch_settings, sounds_of
from services.tts.engines.espeak_library import EspeakEvent, PhonemeEvent, WordEvent
from testing.streams.tts import pitch_hz
from tests.unit.tts.speaking import utter, voice_named


def test_every_voice_speaks(espeak: EspeakEngine) -> None:
    voices = espeak.voices()
    assert len(voices) > 120
    mute = [
        voice.name
        for voice in voices
        if len(utter(espeak, voice.name, "1 2 3.").samples) < 0.2 * voice.sample_rate_hz
    ]
    # eSpeak has no digits of Cherokee, Chuvash and Sindarin.
    assert mute == ["espeak-chr", "espeak-cv", "espeak-sjn"]


def test_voices_are_named_by_their_language(espeak: EspeakEngine) -> None:
    names = {voice.name: voice for voice in espeak.voices()}
    for name, language in {
        "espeak-en-us": "en-US",
        "espeak-en-gb": "en-GB",
        "espeak-cmn": "zh",
        "espeak-yue": "yue",
        "espeak-de": "de",
        "espeak-fr": "fr",
        "espeak-es": "es",
        "espeak-ja": "ja",
    }.items():
        assert language in names[name].languages
        assert names[name].licence == "GPL-3.0-or-later"


def test_chinese_words_are_characters(espeak: EspeakEngine) -> None:
    spoken = utter(espeak, "espeak-cmn", "今天是2024年，我用Python写。")
    assert spoken.word_texts == ["今", "天", "是", "2024", "年", "我", "用", "Python", "写"]


def test_two_words_spoken_as_one_are_one_caption(espeak: EspeakEngine) -> None:
    assert utter(espeak, "espeak-en-us", "I am here.").word_texts == ["I am", "here"]


def test_controls_are_no_commands(espeak: EspeakEngine) -> None:
    plain = utter(espeak, "espeak-en-us", "one  two three")
    commanded = utter(espeak, "espeak-en-us", "one \x01two three")
    assert np.array_equal(plain.samples, commanded.samples)


def test_the_same_text_always_sounds_the_same(espeak: EspeakEngine) -> None:
    first = utter(espeak, "espeak-cmn", "你好，世界。")
    utter(espeak, "espeak-en-us", "Something else.", rate_percent=150, pitch_percent=80)
    assert np.array_equal(first.samples, utter(espeak, "espeak-cmn", "你好，世界。").samples)


def test_threads_do_not_disturb_each_other(espeak: EspeakEngine) -> None:
    alone = utter(espeak, "espeak-en-us", "Hello there, my friend.").samples
    different: list[int] = []

    def work() -> None:
        for number in range(5):
            utter(espeak, "espeak-de", f"Nummer {number}.")
            again = utter(espeak, "espeak-en-us", "Hello there, my friend.").samples
            if not np.array_equal(alone, again):
                different.append(number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not different


def test_lips_close_before_the_burst(espeak: EspeakEngine) -> None:
    spoken = utter(espeak, "espeak-en-us", "Papa, happy, a map, open up.")
    stops = [phoneme for phoneme in spoken.phonemes if phoneme.ipa == "p"]
    vowels = [phoneme for phoneme in spoken.phonemes if phoneme.stress == 2]
    assert len(stops) >= 6
    assert min(map(spoken.level, vowels)) > 1.5 * np.median([spoken.level(stop) for stop in stops])
    held = [(stop.end_sample - stop.start_sample) / spoken.sample_rate_hz for stop in stops]
    assert min(held) > 0.03


def test_rate_changes_the_duration(espeak: EspeakEngine) -> None:
    text = "Speech can be slow, or it can be very fast indeed."
    plain, slow, fast = (
        len(utter(espeak, "espeak-en-us", text, rate_percent=percent).samples)
        for percent in (100, 50, 200)
    )
    assert slow / plain == pytest.approx(2.0, rel=0.15)
    assert fast / plain == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize(("percent", "ratio"), [(50, 0.62), (70, 0.7), (140, 1.4), (200, 1.8)])
def test_pitch_is_heard(espeak: EspeakEngine, percent: int, ratio: float) -> None:
    text = "My mother may buy a new piano on Monday morning."
    plain = utter(espeak, "espeak-en-us", text)
    shifted = utter(espeak, "espeak-en-us", text, pitch_percent=percent)
    rate = plain.sample_rate_hz
    found = pitch_hz(shifted.samples, rate) / pitch_hz(plain.samples, rate)
    assert found == pytest.approx(ratio, rel=0.1)


def test_pitch_settings() -> None:
    assert pitch_settings(100) == (50, 50)
    assert pitch_settings(50) == (0, 25)
    assert pitch_settings(200) == (100, 99)


def test_long_text_stops_where_nobody_listens(espeak: EspeakEngine) -> None:
    heard: list[SpeechChunk] = []

    def hear_once(chunk: SpeechChunk) -> bool:
        heard.append(chunk)
        return False

    voice = voice_named(espeak, "espeak-en-us")
    espeak.synthesize(SpeechRequest(text="A long sentence, really. " * 80, voice=voice), hear_once)
    assert len(heard) == 1
    assert len(heard[0].samples) < 20 * voice.sample_rate_hz


def test_events_become_sounds_without_gaps() -> None:
    events: list[EspeakEvent] = [
        WordEvent(0, 0),
        PhonemeEvent("(en)", 0),
        PhonemeEvent("a", 300),
        PhonemeEvent("p", 2_000),
        PhonemeEvent("ˌa", 2_000),
        PhonemeEvent("", 4_000),
        WordEvent(5, 6_000),
        PhonemeEvent("t", 6_500),
    ]
    sounds = sounds_of(events, sample_count=7_000, closure=500)
    assert [
        (sound.ipa, sound.stress, sound.start_sample, sound.end_sample) for sound in sounds
    ] == [
        ("", 0, 0, 0),
        ("a", 0, 0, 1_500),
        ("p", 0, 1_500, 2_000),
        ("a", 1, 2_000, 4_000),
        ("", 0, 4_000, 6_000),
        ("t", 0, 6_000, 7_000),
    ]
