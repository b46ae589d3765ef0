"""Sounds of languages with an alphabet: eSpeak NG's phonemes in the notation of the model.

The model was trained on the notation of misaki (https://github.com/hexgrad/misaki, EN_PHONES.md and
espeak.py), which has one symbol for a diphthong and for an affricate, and no length marks in
American English.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from services.tts.engines.espeak_library import EspeakLibrary, PhonemeEvent, WordEvent
from services.tts.engines.kokoro.units import Unit, Word

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
_NORMAL_WORDS_PER_MINUTE: Final = 175
_PRONOUN: Final = re.compile(r"I(?![\w.])")
_STRESS: Final = MappingProxyType({"ˈ": 2, "ˌ": 1})


def _replacer(table: dict[str, str]) -> tuple[re.Pattern[str], dict[str, str]]:
    longest_first = sorted(table, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))), table


_NOTATION: Final = MappingProxyType(
    {"en-US": _replacer(_AMERICAN), "en-GB": _replacer(_BRITISH), "": _replacer(dict(_OF_ALL))}
)


def words_of(text: str, *, language: str, start_char: int) -> list[Word]:
    """Returns the words that eSpeak NG speaks for a text, with their positions.

    The phonemes come with the events of a synthesis, which takes about 2 ms per second of speech:
    only they say which character a sound belongs to.

    Args:
        text: Without control characters.
        language: One of `LANGUAGES`.
        start_char: The position of the text in its phrase.
    """
    with EspeakLibrary() as library:
        _, events = library.synthesize(
            text,
            identifier=_IDENTIFIERS[language],
            words_per_minute=_NORMAL_WORDS_PER_MINUTE,
            pitch=(50, 50),
        )
    words: list[Word] = []
    for event in events:
        if isinstance(event, WordEvent):
            words.append(Word(start_char + event.char))
        elif isinstance(event, PhonemeEvent) and event.ipa and not event.ipa.startswith("("):
            if not words:
                words.append(Word(start_char))
            _add(words[-1], event.ipa, language)
    spoken = [word for word in words if word.units]
    if language.startswith("en"):
        for word in spoken:
            if _PRONOUN.match(text, word.char - start_char):
                word.units[0] = _stressed(word.units[0])
    return spoken


def _stressed(unit: Unit) -> Unit:
    """Returns "I" with the stress of the training data, without which it is hardly heard."""
    return unit if unit.stress else Unit(f"ˌ{unit.symbols}", unit.ipa, 1, unit.char)


def _add(word: Word, spoken: str, language: str) -> None:
    ipa = spoken.lstrip("ˈˌ")
    pattern, table = _NOTATION.get(language, _NOTATION[""])
    symbols = pattern.sub(lambda match: table[match.group()], ipa)
    if symbols == "ɹ" and word.units and word.units[-1].symbols.endswith("ɹ"):
        return  # eSpeak's link after a vowel that has the sound already: "euros"
    if symbols:
        mark = spoken[: len(spoken) - len(ipa)]
        word.units.append(Unit(mark + symbols, ipa, _STRESS.get(mark[:1], 0), word.char))
