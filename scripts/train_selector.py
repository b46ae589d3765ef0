"""Trains the weights of `memory.search.selector_model` and writes them into the package.

Run from the repository: `python -m scripts.train_selector`. It needs the encoders of
`memory.search.selector_model.TRAINED_FOR`, or those that are named.
"""

import argparse
import json
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory.search import selector_model
from memory.search.selector_model import (
    TRAINED_FOR,
    Kind,
    Thresholds,
    chances,
    features,
    weights_file,
)
from retrieval.embedding import Embedder
from scripts.selector.turns import training_turns
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore

STEPS = 600
RATE = 0.05
DECAY = 3e-4
# The share of turns that need a source which must pass: people notice a missing memory. It is
# higher than the documented rate, because real speech is further from the templates than a held-out
# template.
PASSING = 0.98
# The share of turns that need a source which must not be kept from it; less strict, because the
# other source is searched when the chosen one has nothing.
KEPT = 0.97
FOLDS = 5


def trained(rows: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Fits softmax regression with Adam (Kingma and Ba, 2015); all kinds have equal weight."""
    kinds = len(Kind)
    weights = np.zeros((kinds, rows.shape[1]), dtype=np.float32)
    mean: NDArray[Any] = np.zeros_like(weights)
    spread: NDArray[Any] = np.zeros_like(weights)
    wanted = np.eye(kinds, dtype=np.float32)[labels]
    per_kind = np.bincount(labels, minlength=kinds)
    share = (1 / (kinds * per_kind))[labels, np.newaxis].astype(np.float32)
    for step in range(1, STEPS + 1):
        slope = ((chances(weights, rows) - wanted) * share).T @ rows + DECAY * weights
        mean = 0.9 * mean + 0.1 * slope
        spread = 0.999 * spread + 0.001 * slope**2
        rise = np.sqrt(spread / (1 - 0.999**step)) + 1e-8
        weights = (weights - RATE * (mean / (1 - 0.9**step)) / rise).astype(np.float32)
    return weights


def thresholds_of(
    rows: NDArray[np.float32], labels: NDArray[np.int64], folds: NDArray[np.int64]
) -> Thresholds:
    """Finds the thresholds of the selector on templates that were held out from training."""
    chance = np.zeros((len(labels), len(Kind)), dtype=np.float32)
    for fold in range(FOLDS):
        weights = trained(rows[folds != fold], labels[folds != fold])
        chance[folds == fold] = chances(weights, rows[folds == fold])
    need = 1 - chance[labels != Kind.NOTHING.value, Kind.NOTHING.value]
    return Thresholds(
        least_need=_rounded(np.quantile(need, 1 - PASSING)),
        sure_personal=_sure(chance, labels, Kind.PERSONAL, Kind.KNOWLEDGE),
        sure_knowledge=_sure(chance, labels, Kind.KNOWLEDGE, Kind.PERSONAL),
    )


def _sure(chance: NDArray[np.float32], labels: NDArray[np.int64], kind: Kind, other: Kind) -> float:
    """Returns the probability of a kind that few turns reach which need the other kind, or both."""
    needing = np.isin(labels, (other.value, Kind.BOTH.value))
    return _rounded(np.quantile(chance[needing, kind.value], KEPT))


def _rounded(chance: float | np.floating[Any]) -> float:
    return round(float(chance), 3)


def write_weights(embedder: Embedder, encoder: str) -> None:
    """Trains and writes the weights for an encoder."""
    turns = training_turns()
    vectors = embedder.embed([turn.text for turn in turns])
    rows = np.stack([features(turn.text, v) for turn, v in zip(turns, vectors, strict=True)])
    labels = np.array([turn.label for turn in turns])
    folds = np.array([zlib.crc32(turn.template.encode()) % FOLDS for turn in turns])
    thresholds = thresholds_of(rows, labels, folds)
    content = {
        "model_id": embedder.model_id,
        "thresholds": asdict(thresholds),
        "weights": [[round(float(w), 3) for w in row] for row in trained(rows, labels)],
    }
    path = Path(selector_model.__file__).with_name(weights_file(encoder))
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{encoder}: {len(turns)} turns, {path.stat().st_size // 1000} kB, {thresholds}")


def main() -> None:
    """Trains for each encoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoders", nargs="*", default=TRAINED_FOR)
    models = ModelStore(ServiceSettings.from_environment().data_dir / "models")
    for encoder in parser.parse_args().encoders:
        write_weights(Embedder(models.path(encoder)), encoder)


if __name__ == "__main__":
    main()
