"""Items and vectors for the tests of the memory."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memory.items.item import Item
from retrieval.tokeniser import tokens

DIMENSIONS = 64
MODEL_ID = "hashed-words"


def make_item(
    item_id: str, text: str, *, created_unix_ms: int = 1_000, session_id: str = ""
) -> Item:
    return Item(
        item_id=item_id,
        kind=1,
        speaker=1,
        text=text,
        session_id=session_id,
        turn_id="",
        created_unix_ms=created_unix_ms,
    )


class WordEmbedder:
    """Adds up a random direction for each word, so that similar texts have near vectors."""

    dimensions = DIMENSIONS
    model_id = MODEL_ID

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            for token in tokens(text):
                seed = int.from_bytes(token.encode()[:8], "big")
                vectors[row] += np.random.default_rng(seed).standard_normal(DIMENSIONS)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)
