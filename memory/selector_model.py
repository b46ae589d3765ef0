"""A trained judge of what a turn needs: nothing, personal memory, or knowledge.

Softmax regression on the vector of the turn, which is there anyway, and on hashed words, which also
know Chinese. `scripts/train_selector.py` makes its weights from turns written for the purpose.
"""

import json
import zlib
from enum import Enum
from importlib.resources import files
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrieval.text import tokens

WEIGHTS_FILE = "selector_weights.json"
BUCKETS = 1024
_START, _END = "^", "$"


class Kind(Enum):
    """What a turn needs."""

    NOTHING = 0
    PERSONAL = 1
    KNOWLEDGE = 2


def features(text: str, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gives what is judged: the vector, the hashed words and pairs of words, and 1.

    Args:
        text: The turn.
        vector: Of the turn, shape [dimensions].

    Returns:
        Shape [dimensions + BUCKETS + 1].
    """
    words = [_START, *tokens(text), _END]
    hashed = np.zeros(BUCKETS, dtype=np.float32)
    for feature in (*words[1:-1], *(f"{a} {b}" for a, b in pairwise(words))):
        hashed[zlib.crc32(feature.encode()) % BUCKETS] += 1
    length = float(np.linalg.norm(hashed))
    return np.concatenate([vector, hashed / max(length, 1), np.ones(1)]).astype(np.float32)


def chances(weights: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gives the chance of each kind, shape [rows, kinds]."""
    logits = rows @ weights.T
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


class SelectorModel:
    """The judge with its shipped weights. Safe for threads: it never changes."""

    def __init__(self, weights: NDArray[np.float32], least_need: float) -> None:
        """Makes a judge.

        Args:
            weights: Shape [kinds, features].
            least_need: A turn that needs something with less than this chance needs nothing.
        """
        self._weights = weights
        self._least_need = least_need

    @classmethod
    def shipped(cls, model_id: str) -> "SelectorModel | None":
        """Loads the shipped weights; None if they were made with another encoder."""
        content = json.loads((files("memory") / WEIGHTS_FILE).read_text(encoding="utf-8"))
        if content["model_id"] != model_id:
            return None
        return cls(np.array(content["weights"], dtype=np.float32), content["least_need"])

    def kind_of(self, text: str, vector: NDArray[np.float32]) -> Kind:
        """Judges a turn."""
        chance = chances(self._weights, features(text, vector)[np.newaxis])[0]
        if 1 - chance[Kind.NOTHING.value] < self._least_need:
            return Kind.NOTHING
        return Kind.PERSONAL if chance[1] >= chance[2] else Kind.KNOWLEDGE
