"""What kind of model a folder holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

_TOKENS: Final = "tokens.txt"


class Kind(StrEnum):
    """The kinds of models."""

    SENSE_VOICE = "sense_voice"
    PARAFORMER = "paraformer"
    TRANSDUCER = "transducer"

    @property
    def streaming(self) -> bool:
        """Whether speech is decoded while it is spoken."""
        return self is not Kind.SENSE_VOICE


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a model.

    Attributes:
        kind: Its kind.
        paths: The files by the names of the arguments of sherpa-onnx, with `tokens`.
    """

    kind: Kind
    paths: dict[str, str]


def files_of(folder: Path) -> Files:
    """Finds the files of a model as the releases of sherpa-onnx name them.

    A transducer (Zipformer) has an encoder, a decoder and a joiner, a streaming Paraformer only the
    first two, SenseVoice one file. Quantised files (`*.int8.onnx`) are preferred.

    Raises:
        ValueError: The folder holds no such model; the text says what is missing.
    """
    if not (folder / _TOKENS).is_file():
        raise ValueError(f"{folder} has no {_TOKENS}")
    encoder, decoder, joiner = (_file(folder, part) for part in ("encoder", "decoder", "joiner"))
    tokens = str(folder / _TOKENS)
    if encoder and decoder:
        paths = {"tokens": tokens, "encoder": encoder, "decoder": decoder}
        if joiner:
            return Files(kind=Kind.TRANSDUCER, paths={**paths, "joiner": joiner})
        return Files(kind=Kind.PARAFORMER, paths=paths)
    if model := _file(folder, "model"):
        return Files(kind=Kind.SENSE_VOICE, paths={"tokens": tokens, "model": model})
    raise ValueError(f"{folder} has neither encoder*.onnx and decoder*.onnx nor model*.onnx")


def _file(folder: Path, part: str) -> str:
    """Returns the file of a part of a model, the quantised one if there are two; "": none."""
    found = sorted(folder.glob(f"{part}*.onnx"), key=lambda each: (".int8." not in each.name, each))
    return str(found[0]) if found else ""
