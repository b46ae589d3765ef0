"""The words of a text and their phonemes, as eSpeak NG reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from services.tts.engines.espeak_library import EspeakLibrary, PhonemeEvent, WordEvent

_NORMAL_WORDS_PER_MINUTE: Final = 175
_STRESS: Final = MappingProxyType({"ˈ": 2, "ˌ": 1})


@dataclass
class SpokenWord:
    """A word that begins at a character of the text, and its phonemes in IPA with stress."""

    char: int
    phonemes: list[str] = field(default_factory=list)


def spoken_words(text: str, *, identifier: str) -> list[SpokenWord]:
    """Returns the words that eSpeak NG speaks for a text.

    The phonemes come with the events of a synthesis, which takes about 2 ms per second of speech:
    only they say which character a sound belongs to.

    Args:
        text: Without control characters.
        identifier: Of a voice of eSpeak NG: its file, name or language.
    """
    with EspeakLibrary() as library:
        _, events = library.synthesize(
            text,
            identifier=identifier,
            words_per_minute=_NORMAL_WORDS_PER_MINUTE,
            pitch=(50, 50),
        )
    words: list[SpokenWord] = []
    for event in events:
        if isinstance(event, WordEvent):
            words.append(SpokenWord(event.char))
        elif isinstance(event, PhonemeEvent) and event.ipa and not event.ipa.startswith("("):
            if not words:
                words.append(SpokenWord(0))
            words[-1].phonemes.append(event.ipa)
    return [word for word in words if word.phonemes]


def stress_of(phoneme: str) -> int:
    """Returns the stress of a phoneme: 0 none, 1 secondary, 2 primary."""
    return _STRESS.get(phoneme[:1], 0)


def unstressed(phoneme: str) -> str:
    """Returns a phoneme without its marks of stress."""
    return phoneme.lstrip("ˈˌ")
