"""Sounds of languages with an alphabet: eSpeak NG's phonemes in the notation of the model.

The model was trained on the notation of misaki (https://github.com/hexgrad/misaki, EN_PHONES.md and
espeak.py), which has one symbol for a diphthong and for an affricate, and no length marks in
American English.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from services.tts.neural.espeak_words import spoken_words, stress_of, unstressed
from services.tts.neural.units import Unit, Word

_IDENTIFIERS: Final = MappingProxyType(
    {
        "en-US": "gmw/en-US", "en-GB": "gmw/en", "es": "roa/es", "fr": "roa/fr", "hi": "inc/hi",
        "it": "roa/it", "pt-BR": "roa/pt-BR",
    }
)  # fmt: skip
LANGUAGES: Final = tuple(_IDENTIFIERS)

_AFFRICATES: Final = {"dʒ": "ʤ", "tʃ": "ʧ"}
_OF_ALL: Final = _AFFRICATES | {"dz": "ʣ", "ts": "ʦ", "r": "ɹ"}
_ENGLISH: Final = _AFFRICATES | {
    "eɪ": "A", "aɪ": "I", "aʊ": "W", "ɔɪ": "Y", "əl": "ᵊl", "ʔ": "t", "e": "A", "ʲ": "", "ɚ": "əɹ",
    "r": "ɹ", "x": "k", "ç": "k", "ɐ": "ə", "ɬ": "l", "n̩": "ᵊn", "m̩": "ᵊm", "l̩": "ᵊl", "\u0303": "",
}  # fmt: skip
_AMERICAN: Final = _ENGLISH | {
    "oʊ": "O", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪə": "iə", "ː": "", "ɾ": "T", "o": "ɔ"
}  # fmt: skip
_BRITISH: Final = _ENGLISH | {"əʊ": "Q", "eə": "ɛː", "iə": "ɪə", "o": "ɔ"}
_PRONOUN: Final = re.compile(r"I(?![\w.])")


def _replacer(table: dict[str, str]) -> tuple[re.Pattern[str], dict[str, str]]:
    longest_first = sorted(table, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))), table


_NOTATION: Final = MappingProxyType(
    {"en-US": _replacer(_AMERICAN), "en-GB": _replacer(_BRITISH), "": _replacer(dict(_OF_ALL))}
)


def words_of(text: str, *, language: str, start_char: int) -> list[Word]:
    """Returns the words that eSpeak NG speaks for a text, with their positions.

    Args:
        text: Without control characters.
        language: One of `LANGUAGES`.
        start_char: The position of the text in its phrase.
    """
    words: list[Word] = []
    for spoken in spoken_words(text, identifier=_IDENTIFIERS[language]):
        word = Word(start_char + spoken.char)
        for phoneme in spoken.phonemes:
            _add(word, phoneme, language)
        if not word.units:
            continue
        if language.startswith("en") and _PRONOUN.match(text, spoken.char):
            word.units[0] = _stressed(word.units[0])
        words.append(word)
    return words


def _stressed(unit: Unit) -> Unit:
    """Returns "I" with the stress of the training data, without which it is hardly heard."""
    return unit if unit.stress else Unit(f"ˌ{unit.symbols}", unit.ipa, 1, unit.char)


def _add(word: Word, phoneme: str, language: str) -> None:
    ipa = unstressed(phoneme)
    pattern, table = _NOTATION.get(language, _NOTATION[""])
    symbols = pattern.sub(lambda match: table[match.group()], ipa)
    if symbols == "ɹ" and word.units and word.units[-1].symbols.endswith("ɹ"):
        return  # eSpeak's link after a vowel that has the sound already: "euros"
    if symbols:
        mark = phoneme[: len(phoneme) - len(ipa)]
        word.units.append(Unit(mark + symbols, ipa, stress_of(phoneme), word.char))
