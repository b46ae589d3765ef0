"""Phonemes to visemes: IPA to the fifteen mouth positions of the Oculus set.

The classes and their example sounds are those of Meta's viseme reference for Oculus Lipsync
(https://developers.meta.com/horizon/documentation/unity/audio-ovrlipsync-viseme-reference/). Sounds
that it does not list are in the class with the same place of articulation in the chart of the
International Phonetic Association (2020).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from types import MappingProxyType

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
    VISEME_SS,
    VISEME_TH,
    Viseme,
)

_CLASSES: tuple[tuple[Viseme.ValueType, str], ...] = (
    (VISEME_PP, "p b m ɓ ʙ"),
    (VISEME_FF, "f v ɱ pf ɸ β ʋ"),
    (VISEME_TH, "θ ð"),
    (VISEME_DD, "t d l ɾ ʈ ɖ ɗ ɭ ɬ ɮ ɫ ʎ ɺ ɽ"),
    (VISEME_KK, "k g ɡ h x χ q ɢ ɣ ʁ ħ ʕ ʔ ɦ c ɟ ç ʝ ɠ ʛ ʜ ɧ"),
    (VISEME_CH, "ʃ ʒ tʃ dʒ tɕ dʑ ɕ ʑ ʂ ʐ tʂ dʐ s. z. ts. dz. ʧ ʤ ʨ ʥ"),
    (VISEME_SS, "s z ts dz ʦ ʣ"),
    (VISEME_NN, "n ŋ ɲ ɳ ɴ nɡ ng ŋɡ"),
    (VISEME_RR, "r ɹ ɻ ʀ ɝ ɚ ɜ"),
    (VISEME_AA, "a ɑ ɐ ʌ æ ɒ ɶ"),
    (VISEME_E, "e ɛ ə ɘ œ ø ɤ ɞ ᵊ"),
    (VISEME_IH, "i ɪ ɨ j ʲ y ʏ ɥ ᵻ"),
    (VISEME_OH, "o ɔ ɵ"),
    (VISEME_OU, "u ʊ w ʍ ɯ ʉ ɰ ᵿ"),
)
_TABLE = MappingProxyType(
    {symbol: viseme for viseme, symbols in _CLASSES for symbol in symbols.split()}
)
_LONGEST = max(map(len, _TABLE))
_VOWELS = frozenset((VISEME_AA, VISEME_E, VISEME_IH, VISEME_OH, VISEME_OU))


@lru_cache(maxsize=1024)
def visemes_of(ipa: str) -> tuple[tuple[Viseme.ValueType, int], ...]:
    """Returns the visemes of a phoneme in order, each with its share of the phoneme's duration.

    Stress, length, tone and diacritics are ignored, and so is an "h" after a consonant, which is
    how eSpeak writes aspiration. A diphthong is its vowels one after the other, in the ratio
    three to two.

    Returns:
        Pairs of viseme and weight; empty if the phoneme is unknown.
    """
    # Composed, "ä" (a centralised "a") would be a separate symbol.
    text = unicodedata.normalize("NFD", ipa)
    found: list[tuple[Viseme.ValueType, int]] = []
    index = 0
    while index < len(text):
        for size in range(min(_LONGEST, len(text) - index), 0, -1):
            viseme = _TABLE.get(text[index : index + size])
            if viseme is not None:
                break
        else:
            index += 1
            continue
        aspiration = text[index] == "h" and bool(found) and found[-1][0] not in _VOWELS
        index += size
        if aspiration or (found and found[-1][0] == viseme):
            continue
        after_vowel = bool(found) and found[-1][0] in _VOWELS
        found.append((viseme, 2 if after_vowel else 3))
    return tuple(found)
