"""A trained judge of what a turn needs: nothing, personal memory, knowledge, or both.

Softmax regression on the vector of the turn, which is there anyway, and on hashed words, which also
know Chinese. `scripts/train_selector.py` makes its weights from turns written for the purpose.
"""

import json
import zlib
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrieval.tokeniser import tokens

WEIGHTS_FILE = "selector_weights.json"
BUCKETS = 1024
_START, _END = "^", "$"


class Kind(Enum):
    """What a turn needs."""

    NOTHING = 0
    PERSONAL = 1
    KNOWLEDGE = 2
    BOTH = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """From where on the judge is believed; each a chance, 0 to 1."""

    least_need: float
    """A turn that needs something with less than this chance needs nothing."""
    sure_personal: float
    """A turn that is personal with less than this chance may need knowledge too."""
    sure_knowledge: float
    """A turn that asks for knowledge with less than this chance may be personal too."""


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

    def __init__(self, weights: NDArray[np.float32], thresholds: Thresholds) -> None:
        """Makes a judge.

        Args:
            weights: Shape [kinds, features].
            thresholds: From where on it is believed.
        """
        self._weights = weights
        self._thresholds = thresholds

    @classmethod
    def shipped(cls, model_id: str) -> "SelectorModel | None":
        """Loads the shipped weights; None if they were made with another encoder."""
        content = json.loads((files("memory.search") / WEIGHTS_FILE).read_text(encoding="utf-8"))
        if content["model_id"] != model_id:
            return None
        weights = np.array(content["weights"], dtype=np.float32)
        return cls(weights, Thresholds(**content["thresholds"]))

    def kind_of(self, text: str, vector: NDArray[np.float32]) -> tuple[Kind, float]:
        """Judges a turn; when it is not sure which of two is needed, both are.

        Returns:
            What it needs, and the chance of it, 0 to 1.
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
