"""flite: English voices of Carnegie Mellon, from the Debian package libflite1."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from services.runtime.audio import StreamResampler
from services.runtime.config.settings import ServiceSettings
from services.runtime.engine import EngineInfo
from services.tts.engine import (
    Emit,
    Gender,
    Samples,
    SpeechRequest,
    VoiceInfo,
    languages_of,
)
from services.tts.engines.flite_library import VERSION, FliteItem, FliteLibrary, FlitePhone
from services.tts.engines.library_thread import LibraryThread
from services.tts.phrase_by_phrase import Phrase, Spoken, speak_phrases
from services.tts.text_spans import has_speech
from services.tts.timing import Sound, moved

_NAME = "flite"
# The terms are SPDX's "MIT Festival Variant"; see /usr/share/doc/libflite1/copyright.
_LICENCE = "MIT-Festival"

_VOICES = MappingProxyType(
    {
        "slt": ("SLT, American woman (flite)", ("en-US",), Gender.FEMALE),
        "rms": ("RMS, American man (flite)", ("en-US",), Gender.MALE),
        "kal16": ("KAL, American man, diphones (flite)", ("en-US",), Gender.MALE),
        "awb": ("AWB, Scottish man (flite)", ("en-GB-scotland",), Gender.MALE),
    }
)

# flite's US phone set (us_phoneset.c; ARPABET in lower case) in IPA.
_IPA = MappingProxyType(
    {
        "aa": "ɑː", "ae": "æ", "ah": "ʌ", "ao": "ɔː", "aw": "aʊ", "ax": "ə", "axr": "ɚ",
        "ay": "aɪ", "b": "b", "ch": "tʃ", "d": "d", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "el": "l",
        "em": "m", "en": "n", "er": "ɝ", "ey": "eɪ", "f": "f", "g": "ɡ", "hh": "h", "hv": "h",
        "ih": "ɪ", "iy": "iː", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n", "nx": "ŋ",
        "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t",
        "th": "θ", "uh": "ʊ", "uw": "uː", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
        "pau": "", "h#": "", "brth": "",
    }
)  # fmt: skip
_FIXED_PITCH = frozenset(("rms",))
_VOWELS = frozenset("aeiou")
_NOTHING: Samples = np.zeros(0, np.int16)

# Characters that NFKD does not reduce to ASCII, and characters that flite does not speak.
_ASCII = MappingProxyType(
    {
        "‘": "'", "’": "'", "‚": ",", "‛": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
        "–": " , ", "—": " , ", "―": " , ", "‐": "-", "‑": "-", "−": "-", "•": ",", "·": " ",
        "ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O",
        "ł": "l", "Ł": "L", "đ": "d", "ð": "d", "þ": "th", "ı": "i",
        "€": " euros ", "£": " pounds ", "¥": " yen ", "°": " degrees ",
        "×": " times ", "÷": " divided by ", "±": " plus or minus ", "⁄": "/",
        "，": ", ", "。": ". ", "、": ", ", "；": "; ",
    }
)  # fmt: skip


class FliteEngine:
    """flite and its voices slt, rms, kal16 and awb."""

    preferences: ClassVar[Mapping[str, int]] = {"en": 30}

    def __init__(self, settings: ServiceSettings) -> None:
        del settings
        self._library = FliteLibrary(tuple(_VOICES))
        self._thread: LibraryThread[FliteItem] = LibraryThread(name="flite")
        self._voices = [_voice_info(name) for name in self._library.voices]

    async def open(self) -> None:
        """Does nothing: the constructor has loaded the library to check that it works."""

    def describe(self) -> EngineInfo:
        """Describes the engine."""
        return EngineInfo(
            name=_NAME,
            version=VERSION,
            licence=_LICENCE,
            languages=languages_of(self._voices),
        )

    def voices(self) -> Sequence[VoiceInfo]:
        """Lists the installed voices, the best first."""
        return self._voices

    def synthesize(self, request: SpeechRequest, emit: Emit) -> None:
        """Speaks a segment phrase by phrase, and streams within the phrase."""

        def speak(phrase: Phrase) -> Iterator[Spoken]:
            ascii_text, chars = transliterate(phrase.text)
            if not has_speech(ascii_text):
                return
            aligned = _AlignedPhrase(
                chars, is_first=phrase.is_first, resampled_pitch=_resampled_pitch(request)
            )
            for item in self._thread.stream(self._job(ascii_text, request)):
                spoken = aligned.take(item)
                if len(spoken.samples) or spoken.sounds:
                    yield spoken
            rest = aligned.finish()
            if len(rest.samples):
                yield rest

        speak_phrases(request, emit, speak)

    async def close(self) -> None:
        """Ends the library's thread."""
        await asyncio.to_thread(self._thread.close)

    def _job(
        self, ascii_text: str, request: SpeechRequest
    ) -> Callable[[Callable[[FliteItem], bool]], None]:
        resampled = _resampled_pitch(request)

        def produce(emit: Callable[[FliteItem], bool]) -> None:
            self._library.synthesize(
                ascii_text,
                voice=request.voice.name,
                stretch=resampled * 100 / request.rate_percent,
                pitch=request.pitch_percent / 100,
                emit=emit,
            )

        return produce


class _AlignedPhrase:
    """Aligns the audio of one phrase with the clock of its sounds.

    flite predicts the end of each phone first. The audio then is some milliseconds shorter or
    longer, entirely in the closing pause, which is padded or trimmed here. The opening pause of a
    later phrase is omitted, because the closing pause of the previous phrase is long enough.
    """

    def __init__(self, chars: Sequence[int], *, is_first: bool, resampled_pitch: float) -> None:
        self._chars = chars
        self._is_first = is_first
        self._left = 0
        self._skip = 0
        self._speedup = resampled_pitch
        rate = FliteLibrary.sample_rate_hz
        self._resampler = StreamResampler(round(rate * resampled_pitch), rate)

    def take(self, item: FliteItem) -> Spoken:
        """Takes flite's next output; returns the sounds, or the audio that can be sent."""
        if isinstance(item, list):
            return Spoken(_NOTHING, self._begin(item))
        return Spoken(self._cut(self._resampler.process(item)), ())

    def finish(self) -> Spoken:
        """Returns the silence missing at the end of flite's audio."""
        tail = self._cut(self._resampler.finish())
        return Spoken(np.concatenate([tail, np.zeros(self._left, np.int16)]), ())

    def _cut(self, samples: Samples) -> Samples:
        skipped = min(self._skip, len(samples))
        self._skip -= skipped
        kept = samples[skipped:][: self._left]
        self._left -= len(kept)
        return kept

    def _begin(self, phones: Sequence[FlitePhone]) -> list[Sound]:
        sounds = _sounds(phones, self._chars, speedup=self._speedup)
        if not self._is_first and sounds and not sounds[0].ipa:
            self._skip = sounds.pop(0).end_sample
        self._left = sounds[-1].end_sample - self._skip if sounds else 0
        return [moved(sound, -self._skip) for sound in sounds]


def _resampled_pitch(request: SpeechRequest) -> float:
    """Returns the pitch factor that resampling must apply; 1: none.

    rms models its pitch contour as a whole (spamf0), and flite then ignores `f0_shift` (2.2,
    cst_spamf0.c): such a voice is synthesised slower by the factor and played faster.
    """
    return request.pitch_percent / 100 if request.voice.name in _FIXED_PITCH else 1.0


def _sounds(phones: Sequence[FlitePhone], chars: Sequence[int], *, speedup: float) -> list[Sound]:
    sounds: list[Sound] = []
    start = 0
    for phone in phones:
        end = max(round(phone.end_s * FliteLibrary.sample_rate_hz / speedup), start)
        stress = 2 if phone.stressed and phone.name[0] in _VOWELS else 0
        sounds.append(Sound(_IPA[phone.name], stress, chars[phone.char], start, end))
        start = end
    return sounds


def transliterate(text: str) -> tuple[str, list[int]]:
    """Converts a text to ASCII as far as possible.

    Returns:
        The ASCII text, and for each of its characters the index of the original character.
        A character without an ASCII form, such as an ideograph, becomes a blank and is silent.
    """
    pieces: list[str] = []
    chars: list[int] = []
    for index, character in enumerate(text):
        piece = "".join(
            _ASCII.get(part, part if part.isascii() else "")
            for part in unicodedata.normalize("NFKD", _ASCII.get(character, character))
        )
        piece = piece or ("" if unicodedata.combining(character) else " ")
        pieces.append(piece)
        chars.extend([index] * len(piece))
    return "".join(pieces), chars


def _voice_info(name: str) -> VoiceInfo:
    display_name, languages, gender = _VOICES[name]
    return VoiceInfo(
        name=name,
        display_name=display_name,
        languages=languages,
        gender=gender,
        sample_rate_hz=FliteLibrary.sample_rate_hz,
        engine=_NAME,
        licence=_LICENCE,
    )
