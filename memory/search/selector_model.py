"""A trained classifier of what a turn needs: nothing, personal memory, knowledge, or both.

Softmax regression on the vector of the turn, which is available anyway, and on hashed words, which
also cover Chinese. `scripts/train_selector.py` trains its weights on turns written for the purpose.
"""

import json
import zlib
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders import DEFAULT_ENCODER, ENGLISH_ENCODER
from retrieval.tokeniser import tokens

TRAINED_FOR = (DEFAULT_ENCODER, ENGLISH_ENCODER)
"""The encoders for whose vectors there are weights."""
BUCKETS = 1024
_START, _END = "^", "$"


def weights_file(encoder: str) -> str:
    """Returns the name of the file with the weights for an encoder."""
    return f"selector_{encoder}.json"


class Kind(Enum):
    """The kind of memory that a turn needs."""

    NOTHING = 0
    PERSONAL = 1
    KNOWLEDGE = 2
    BOTH = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """Probabilities, 0 to 1, from which the classifier's result is accepted."""

    least_need: float
    """A turn with a lower probability of any need needs nothing."""
    sure_personal: float
    """A personal turn with a lower probability may also need knowledge."""
    sure_knowledge: float
    """A knowledge turn with a lower probability may also be personal."""


def features(text: str, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the features: the vector, the hashed words and pairs of words, and 1.

    Args:
        text: The turn.
        vector: The vector of the turn, shape [dimensions].

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
    """Returns the probability of each kind, shape [rows, kinds]."""
    logits = rows @ weights.T
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


class SelectorModel:
    """The classifier with its shipped weights. Thread-safe, because it is immutable."""

    def __init__(self, weights: NDArray[np.float32], thresholds: Thresholds) -> None:
        """Creates a classifier.

        Args:
            weights: Shape [kinds, features].
            thresholds: The probabilities from which its result is accepted.
        """
        self._weights = weights
        self._thresholds = thresholds

    @classmethod
    def shipped(cls, model_id: str) -> "SelectorModel | None":
        """Loads the shipped weights; None if they were trained with another encoder."""
        encoder = model_id.partition("@")[0]
        if encoder not in TRAINED_FOR:
            return None
        file = files("memory.search") / weights_file(encoder)
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["model_id"] != model_id:
            return None
        weights = np.array(content["weights"], dtype=np.float32)
        return cls(weights, Thresholds(**content["thresholds"]))

    def kind_of(self, text: str, vector: NDArray[np.float32]) -> tuple[Kind, float]:
        """Classifies a turn; returns both kinds when it is uncertain which one is needed.

        Returns:
            The kind and its probability, 0 to 1.
        """
        none, personal, knowledge, both = map(
            float, chances(self._weights, features(text, vector)[np.newaxis])[0]
        )
        if 1 - none < self._thresholds.least_need:
            return Kind.NOTHING, none
        if personal >= max(knowledge, both, self._thresholds.sure_personal):
            return Kind.PERSONAL, personal
        if knowledge >= max(personal, both, self._thresholds.sure_knowledge):
            return Kind.KNOWLEDGE, knowledge
        return Kind.BOTH, personal + knowledge + both
