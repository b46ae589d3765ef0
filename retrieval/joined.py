"""Two encoders as one: the cosine of a pair of texts is the mean of their cosines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding import Embedder

_SCALE: Final = np.float32(0.5**0.5)


class JoinedEmbedder:
    """Compares texts by two encoders, whose errors differ. Thread-safe."""

    def __init__(self, first: Embedder, second: Embedder) -> None:
        self._parts = (first, second)

    @property
    def dimensions(self) -> int:
        """The length of a vector: those of both encoders together."""
        return sum(part.dimensions for part in self._parts)

    @property
    def model_id(self) -> str:
        """Identifies the weights of both."""
        return "+".join(part.model_id for part in self._parts)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns a vector of length 1 for each text, shape [texts, dimensions]."""
        return np.hstack([_SCALE * part.embed(texts) for part in self._parts])
