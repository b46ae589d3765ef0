"""A disk cache for the vectors of a persona's texts, so that a start need not compute them."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.llm.engines.retrieval.matching.tuning import Encoder
from services.runtime.observing.logs import get_logger

Vector = NDArray[np.float32]


class SizedEncoder(Encoder, Protocol):
    """An encoder that says how long its vectors are."""

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        ...


class KeptVectors:
    """An embedder with a cache of the vectors of known texts.

    The file contains the SHA-256 of each text, the vectors and the model id. A file of another
    model or a damaged file is ignored and overwritten. Thread-safe after `keep`.
    """

    def __init__(self, embedder: SizedEncoder, file: Path) -> None:
        self._embedder = embedder
        self._file = file
        self._known = self._read()
        self._used: dict[bytes, Vector] = {}
        self._is_kept = False

    @property
    def model_id(self) -> str:
        """Identifies the weights."""
        return self._embedder.model_id

    def embed(self, texts: Sequence[str]) -> Vector:
        """Returns a vector of length 1 for each text, shape [texts, dimensions]."""
        if self._is_kept:
            return self._embedder.embed(texts)
        keys = [hashlib.sha256(text.encode()).digest() for text in texts]
        missing = [index for index, key in enumerate(keys) if key not in self._known]
        computed = self._embedder.embed([texts[index] for index in missing])
        self._known |= {keys[index]: row for index, row in zip(missing, computed, strict=True)}
        self._used |= {key: self._known[key] for key in keys}
        return np.array([self._known[key] for key in keys], dtype=np.float32).reshape(
            len(texts), self._embedder.dimensions
        )

    def keep(self) -> None:
        """Writes the vectors so far, if any are new; later vectors are not collected."""
        if self._used.keys() != self._stored:
            self._write()
        self._is_kept = True
        self._known, self._used = {}, {}

    def drop_others(self, known: Sequence[KeptVectors]) -> None:
        """Removes the files of encoders that are no longer used."""
        used = {kept._file for kept in known}
        for file in self._file.parent.glob("vectors-*.npz"):
            if file not in used:
                file.unlink(missing_ok=True)

    def _read(self) -> dict[bytes, Vector]:
        self._stored: set[bytes] = set()
        try:
            # Opened here because numpy does not close the file of a damaged archive.
            with self._file.open("rb") as file, np.load(file, allow_pickle=False) as content:
                if str(content["model_id"]) != self._embedder.model_id:
                    return {}
                keys, vectors = content["keys"], content["vectors"]
                if vectors.dtype != np.float32 or vectors.shape != (
                    len(keys),
                    self._embedder.dimensions,
                ):
                    return {}
                known = {key.tobytes(): row for key, row in zip(keys, vectors, strict=True)}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            get_logger().warning(
                "cached vectors cannot be read", file=str(self._file), why=str(error)
            )
            return {}
        self._stored = set(known)
        return known

    def _write(self) -> None:
        keys = np.frombuffer(b"".join(self._used), dtype=np.uint8).reshape(-1, 32)
        vectors = np.array(list(self._used.values()), dtype=np.float32)
        model_id = np.array(self._embedder.model_id)
        temporary = ""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # A different name for each writer: two services may start at once.
            handle, temporary = tempfile.mkstemp(dir=self._file.parent, suffix=".npz")
            with os.fdopen(handle, "wb") as file:
                np.savez(file, keys=keys, vectors=vectors, model_id=model_id)
            Path(temporary).replace(self._file)
        except OSError as error:
            get_logger().warning(
                "vectors cannot be cached", file=str(self._file), why=error.strerror
            )
            if temporary:
                Path(temporary).unlink(missing_ok=True)
