"""The voices of Kokoro: their names say language and gender."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from services.tts.engine import Gender, VoiceInfo
from services.tts.engines.kokoro.model import SAMPLE_RATE_HZ

ENGINE: Final = "kokoro"
LICENCE: Final = "Apache-2.0 AND GPL-3.0-or-later"
"""The model is Apache-2.0; its sounds of all languages but Chinese come from eSpeak NG."""

# Japanese needs a reader of kanji, which eSpeak NG is not.
_LANGUAGES: Final = MappingProxyType(
    {
        "a": ("en-US", "American"), "b": ("en-GB", "British"), "e": ("es", "Spanish"),
        "f": ("fr", "French"), "h": ("hi", "Hindi"), "i": ("it", "Italian"),
        "p": ("pt-BR", "Brazilian"), "z": ("zh", "Chinese"),
    }
)  # fmt: skip
_GENDERS: Final = MappingProxyType({"f": (Gender.FEMALE, "woman"), "m": (Gender.MALE, "man")})
# In the order of the grades that their maker gives them (VOICES.md of Kokoro-82M); others follow.
_BEST: Final = (
    "af_heart", "af_bella", "af_nicole", "bf_emma", "am_fenrir", "am_michael", "am_puck",
    "af_aoede", "af_kore", "af_sarah", "bm_george", "bm_fable", "zf_xiaoxiao", "zf_xiaobei",
    "zf_xiaoni", "zf_xiaoyi", "zm_yunxi",
)  # fmt: skip


def voices_of(files: Iterable[str]) -> list[VoiceInfo]:
    """Returns the voices that can be spoken, the best first.

    Args:
        files: Names of voice files without their ending, such as "af_heart".
    """
    known = [name for name in files if is_voice(name)]
    known.sort(key=lambda name: (_BEST.index(name) if name in _BEST else len(_BEST), name))
    return [_voice(name) for name in known]


def is_voice(name: str) -> bool:
    """Whether a file is of a voice whose language can be read."""
    return len(name) > 3 and name[0] in _LANGUAGES and name[1] in _GENDERS and name[2] == "_"


def file_of(voice: VoiceInfo) -> str:
    """Returns the name of the file of a voice."""
    return voice.name.removeprefix(f"{ENGINE}-")


def _voice(name: str) -> VoiceInfo:
    language, people = _LANGUAGES[name[0]]
    gender, person = _GENDERS[name[1]]
    return VoiceInfo(
        name=f"{ENGINE}-{name}",
        display_name=f"{name[3:].capitalize()}, {people} {person} (Kokoro)",
        languages=(language,),
        gender=gender,
        sample_rate_hz=SAMPLE_RATE_HZ,
        engine=ENGINE,
        licence=LICENCE,
    )
