from __future__ import annotations

import pytest

from anima.common.v1 import (
    VISEME_AA,
    VISEME_CH,
    VISEME_DD,
    VISEME_E,
    VISEME_FF,
    VISEME_IH,
    VISEME_KK,
    VISEME_NN,
    VISEME_OH,
    VISEME_OU,
    VISEME_PP,
    VISEME_RR,
    VISEME_SIL,
    VISEME_SS,
    VISEME_TH,
)
from services.tts.engines.espeak import EspeakEngine
from services.tts.engines.flite import _IPA
from services.tts.visemes import visemes_of
from tests.unit.tts.speaking import utter


@pytest.mark.parametrize(
    ("ipa", "expected"),
    [
        ("p", [VISEME_PP]),
        ("v", [VISEME_FF]),
        ("ð", [VISEME_TH]),
        ("l", [VISEME_DD]),
        ("ɡ", [VISEME_KK]),
        ("h", [VISEME_KK]),
        ("tʃ", [VISEME_CH]),
        ("z", [VISEME_SS]),
        ("ŋ", [VISEME_NN]),
        ("ɹ", [VISEME_RR]),
        ("ɑː", [VISEME_AA]),
        ("ˈɛ", [VISEME_E]),
        ("iː", [VISEME_IH]),
        ("ɔ", [VISEME_OH]),
        ("w", [VISEME_OU]),
        ("aɪ", [VISEME_AA, VISEME_IH]),
        ("oʊ", [VISEME_OH, VISEME_OU]),
        ("ɔːɹ", [VISEME_OH, VISEME_RR]),
        ("tɕh", [VISEME_CH]),  # eSpeak's Mandarin: aspirated
        ("s.", [VISEME_CH]),  # retroflex
        ("onɡ", [VISEME_OH, VISEME_NN]),
        ("e\u031e", [VISEME_E]),
        ("", []),
        ("5", []),
    ],
)
def test_phonemes_have_their_mouth(ipa: str, expected: list[int]) -> None:
    assert [viseme for viseme, _ in visemes_of(ipa)] == expected


def test_a_diphthong_stays_longer_on_its_first_vowel() -> None:
    (_, first), (_, second) = visemes_of("aʊ")
    assert first > second


def test_every_phone_of_flite_has_a_mouth_or_is_silence() -> None:
    for phone, ipa in _IPA.items():
        assert bool(visemes_of(ipa)) == (phone not in {"pau", "h#", "brth"})
        assert VISEME_SIL not in [viseme for viseme, _ in visemes_of(ipa)]


@pytest.mark.parametrize(
    ("voice", "text"),
    [
        ("espeak-en-us", "The quick brown fox jumps over a lazy dog; she measures thirty vision."),
        ("espeak-cmn", "四是四，十是十，中国人去北京吃鱼，日月儿女绿。"),
        ("espeak-yue", "你好，今日天氣好好。"),
        ("espeak-de", "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich."),
        ("espeak-fr", "Portez ce vieux whisky au juge blond qui fume, un bon vin blanc."),
        ("espeak-es", "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia."),
        ("espeak-ja", "こんにちは、りょうりをつくります。"),
        ("espeak-ru", "Съешь же ещё этих мягких французских булок."),
        ("espeak-hi", "नमस्ते दुनिया, आप कैसे हैं।"),
    ],
)
def test_nearly_every_sound_of_a_language_is_known(
    espeak: EspeakEngine, voice: str, text: str
) -> None:
    sounds = [phoneme.ipa for phoneme in utter(espeak, voice, text).phonemes if phoneme.ipa]
    unknown = [ipa for ipa in sounds if not visemes_of(ipa)]
    assert len(sounds) > 15
    assert len(unknown) <= 0.02 * len(sounds), unknown
