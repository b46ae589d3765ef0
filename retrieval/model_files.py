"""The files of a sentence encoder in its folder, and what its graph records about itself."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

MODEL_FILE: Final = "model.onnx"
TOKENIZER_FILE: Final = "tokenizer.json"
PACKED_FILE: Final = "e5-small-q4.bin"
"""Weights and tokenizer in one file: `retrieval.packed_encoder`."""

WEIGHTS_SHA256_KEY: Final = "anima.weights_sha256"
"""Identifies the vectors: the hash of the weights and of everything else that determines them."""
PREFIX_KEY: Final = "anima.prefix"
"""The prefix of every text."""
ONE_BY_ONE_KEY: Final = "anima.one_by_one"
"""Present if the vector of a text would depend on the texts that are computed with it."""


def write_at_once(path: Path, content: bytes) -> None:
    """Writes a file that other processes see complete or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
