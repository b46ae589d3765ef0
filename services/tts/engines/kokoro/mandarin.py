"""Sounds of Mandarin: words by jieba, pinyin by pypinyin, and a table of pinyin in IPA.

The notation is that on which the model was trained: the first reader of misaki
(https://github.com/hexgrad/misaki, transcription.py, after pinyin-to-ipa by S. Taubert), with the
tone as an arrow behind the vowel. The tones are those of the dictionary: the model was trained so,
and has learned itself how the third tone changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from services.tts.engines.kokoro.mandarin_polyphones import readings_of
from services.tts.neural.units import Unit, Word

_INITIALS: Final = MappingProxyType(
    {
        "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l",
        "g": "k", "k": "kʰ", "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ",
        "sh": "ʂ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s",
    }
)  # fmt: skip
# By final of pinyin in its full form ("iou", not "iu"; v: ü), the sounds; the tone follows the 0.
_FINALS: Final = MappingProxyType(
    {
        "a": "a0", "ai": "ai0", "an": "a0 n", "ang": "a0 ŋ", "ao": "au0", "e": "ɤ0", "ei": "ei0",
        "en": "ə0 n", "eng": "ə0 ŋ", "er": "ɚ0", "ê": "ɛ0", "i": "i0", "ia": "j a0",
        "ian": "j ɛ0 n", "iang": "j a0 ŋ", "iao": "j au0", "ie": "j e0", "in": "i0 n",
        "ing": "i0 ŋ", "io": "j ɔ0", "iong": "j ʊ0 ŋ", "iou": "j ou0", "o": "w o0", "ong": "ʊ0 ŋ",
        "ou": "ou0", "u": "u0", "ua": "w a0", "uai": "w ai0", "uan": "w a0 n", "uang": "w a0 ŋ",
        "uei": "w ei0", "uen": "w ə0 n", "ueng": "w ə0 ŋ", "uo": "w o0", "v": "y0",
        "van": "ɥ ɛ0 n", "ve": "ɥ e0", "vn": "y0 n",
    }
)  # fmt: skip
# After these, "i" is the syllabic consonant of the initial.
_HISSING: Final = frozenset(("z", "c", "s", "zh", "ch", "sh", "r"))
_SYLLABIC: Final = "ɨ0"
# Syllables without a vowel, as 嗯 and 呣.
_HUMMED: Final = "ə0 n"
_TONES: Final = MappingProxyType({"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""})
# The sounds for the lips where the model's symbol is not the usual one of IPA.
_IPA: Final = MappingProxyType({"ꭧ": "tʂ", "ꭧʰ": "tʂʰ", "ʦ": "ts", "ʦʰ": "tsʰ"})


def words_of(characters: str, *, chars: list[int]) -> list[Word]:
    """Returns the words of a run of Chinese characters.

    Args:
        characters: Han characters only.
        chars: For each of them, its position in the phrase.
    """
    import rjieba  # with pypinyin a quarter of a second, which only this engine should take

    words: list[Word] = []
    start = 0
    pieces = rjieba.cut(characters)
    for piece, readings in zip(pieces, readings_of(pieces), strict=True):
        word = Word(chars[start])
        for offset, (initial, final) in enumerate(_syllables(piece, readings)):
            word.units += _units(initial, final, chars[start + offset])
        start += len(piece)
        if word.units:
            words.append(word)
    return words


def _syllables(word: str, readings: Mapping[int, str]) -> list[tuple[str, str]]:
    """Returns initial and final, such as ("n", "i3"), of each character; empty: not known."""
    from pypinyin import Style, lazy_pinyin
    from pypinyin.contrib.tone_convert import to_finals_tone3, to_initials

    # The stubs of pypinyin do not know that a list is one item per character.
    each_unknown: Any = lambda unknown: [""] * len(unknown)  # noqa: E731

    def parts(style: Style) -> list[str]:
        return lazy_pinyin(
            word,
            style=style,
            strict=True,
            neutral_tone_with_five=True,
            errors=each_unknown,
        )

    syllables = list(zip(parts(Style.INITIALS), parts(Style.FINALS_TONE3), strict=True))
    for index, reading in readings.items():
        final = to_finals_tone3(reading, strict=True, neutral_tone_with_five=True)
        syllables[index] = to_initials(reading, strict=True), final
    whole = parts(Style.TONE3)
    # 嗯 is n2: neither initial nor final
    return [
        (initial, final) if initial or final else ("", each)
        for (initial, final), each in zip(syllables, whole, strict=True)
    ]


def _units(initial: str, final: str, char: int) -> list[Unit]:
    bare, tone = final.rstrip("12345"), final[-1:]
    if not bare and not initial:
        return []
    syllabic = initial in _HISSING and bare == "i"
    sounds = _SYLLABIC if syllabic else _FINALS.get(bare, _HUMMED)
    units: list[Unit] = []
    if initial in _INITIALS:
        symbols = _INITIALS[initial]
        units.append(Unit(symbols, _IPA.get(symbols, symbols), 0, char))
    for sound in sounds.split():
        vowel, zero, _ = sound.partition("0")
        symbols = vowel + (_TONES.get(tone, "") if zero else "")
        units.append(Unit(symbols, vowel, 0, char))
    return units
