"""The voices in a folder: NAME.onnx and NAME.onnx.json.

The description is that of Piper (https://github.com/rhasspy/piper, MIT, TRAINING.md and voices.py).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import langcodes
from langcodes.tag_parser import LanguageTagError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.runtime.observing.logs import get_logger
from services.tts.engine import Gender, VoiceInfo

ENGINE: Final = "piper"
LICENCE: Final = "LicenseRef-own-voice AND GPL-3.0-or-later"
"""The licence of the voice is known to its owner only; its phonemes come from eSpeak NG."""

_MODEL: Final = ".onnx"
_DESCRIPTION: Final = ".onnx.json"
_MAX_DESCRIPTION_BYTES: Final = 2**20
_MAX_FILES: Final = 200
_MAX_VOICES: Final = 500
_MAX_NAME_CHARS: Final = 64

BEGIN: Final = "^"
END: Final = "$"
PAD: Final = "_"

_Ids = Annotated[list[Annotated[int, Field(ge=0, le=100_000)]], Field(min_length=1, max_length=8)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Audio(_Table):
    sample_rate: int = Field(ge=8_000, le=48_000)


class _Espeak(_Table):
    voice: str = Field(pattern=r"^[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40})?$")


class _Inference(_Table):
    noise_scale: float = Field(default=0.667, ge=0, le=10)
    length_scale: float = Field(default=1.0, ge=0.1, le=10)
    noise_w: float = Field(default=0.8, ge=0, le=10)


class _Language(_Table):
    code: str = Field(default="", max_length=40)


class Description(_Table):
    """What the file NAME.onnx.json says; other fields are ignored."""

    audio: _Audio
    espeak: _Espeak
    inference: _Inference = _Inference()
    language: _Language = _Language()
    phoneme_type: Literal["espeak"] = "espeak"
    phoneme_id_map: dict[Annotated[str, Field(min_length=1, max_length=8)], _Ids]
    num_speakers: int = Field(default=1, ge=1, le=100_000)
    speaker_id_map: dict[Annotated[str, Field(min_length=1, max_length=64)], int] = {}


@dataclass(frozen=True, kw_only=True)
class PiperVoice:
    """A voice: a model, and one of its speakers.

    Attributes:
        info: What the service lists.
        model: The file of the model.
        description: Of the model.
        speaker: The id of the speaker; None: the model has only one.
    """

    info: VoiceInfo
    model: Path
    description: Description
    speaker: int | None


def voices_in(folder: Path) -> list[PiperVoice]:
    """Returns the voices of a folder by name; a file that is none is named in the log."""
    voices: list[PiperVoice] = []
    for path in sorted(folder.glob(f"*{_DESCRIPTION}"))[:_MAX_FILES]:
        try:
            voices += _voices_of(path)
        except (OSError, ValueError) as error:
            problem = _first(error) if isinstance(error, ValidationError) else str(error)
            get_logger().warning("voice left out", file=str(path), problem=problem)
    return voices[:_MAX_VOICES]


def _voices_of(path: Path) -> Iterator[PiperVoice]:
    model = path.with_name(path.name.removesuffix(_DESCRIPTION) + _MODEL)
    if not model.is_file():
        raise ValueError(f"there is no {model.name}")
    if path.stat().st_size > _MAX_DESCRIPTION_BYTES:
        raise ValueError(f"it is longer than {_MAX_DESCRIPTION_BYTES} bytes")
    description = Description.model_validate_json(path.read_bytes())
    for symbol in (BEGIN, END, PAD):
        if symbol not in description.phoneme_id_map:
            raise ValueError(f"phoneme_id_map: there is no {symbol!r}")
    language = _language(description)
    for speaker_name, speaker in _speakers(description).items():
        name = "-".join(part for part in (ENGINE, model.stem, speaker_name) if part)
        if len(name) > _MAX_NAME_CHARS or not name.isprintable():
            raise ValueError(f"its name has more than {_MAX_NAME_CHARS} characters")
        title = " ".join(part for part in (model.stem, speaker_name) if part)
        info = VoiceInfo(
            name=name,
            display_name=f"{title} (Piper)",
            languages=(language,),
            gender=Gender.UNKNOWN,
            sample_rate_hz=description.audio.sample_rate,
            engine=ENGINE,
            licence=LICENCE,
        )
        yield PiperVoice(info=info, model=model, description=description, speaker=speaker)


def _speakers(description: Description) -> Mapping[str, int | None]:
    if description.num_speakers == 1:
        return {"": None}
    named = description.speaker_id_map or {"": 0}
    if not all(0 <= speaker < description.num_speakers for speaker in named.values()):
        raise ValueError("speaker_id_map: an id is not below num_speakers")
    return dict(sorted(named.items(), key=lambda item: item[1]))


def _language(description: Description) -> str:
    tag = description.language.code.replace("_", "-") or description.espeak.voice
    try:
        return langcodes.standardize_tag(tag)
    except LanguageTagError as error:
        raise ValueError(f"language: {tag!r} is not a BCP-47 tag: {error}") from None


def _first(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def known(symbols: str, description: Description) -> str:
    """Returns the symbols of a phoneme that a model knows; Piper decomposes them (NFD)."""
    decomposed = unicodedata.normalize("NFD", symbols)
    return "".join(each for each in decomposed if each in description.phoneme_id_map)
