"""Trains the weights of `memory.selector_model` and writes them into the package.

Run from the repository: `python -m scripts.train_selector`. It needs the encoder minilm-l6-v2.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory import selector_model
from memory.selector_model import Kind, chances, features
from retrieval.embedding import Embedder
from scripts.selector.turns import training_turns
from services.runtime.model_store import ModelStore
from services.runtime.settings import ServiceSettings

STEPS = 600
RATE = 0.05
DECAY = 3e-4
# So many of the turns that need something must pass: a missing memory is what people notice.
PASSING = 0.97
FOLDS = 5


def trained(rows: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Fits softmax regression with Adam (Kingma and Ba, 2015); all kinds weigh the same."""
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


def least_need_of(
    rows: NDArray[np.float32], labels: NDArray[np.int64], folds: NDArray[np.int64]
) -> float:
    """Finds the threshold that lets enough turns of templates pass that were not trained with."""
    need = np.zeros(len(labels), dtype=np.float32)
    for fold in range(FOLDS):
        weights = trained(rows[folds != fold], labels[folds != fold])
        need[folds == fold] = 1 - chances(weights, rows[folds == fold])[:, Kind.NOTHING.value]
    return float(np.quantile(need[labels != Kind.NOTHING.value], 1 - PASSING))


def main() -> None:
    """Trains and writes."""
    models = ModelStore(ServiceSettings.from_environment().data_dir / "models")
    embedder = Embedder(models.path("minilm-l6-v2"))
    turns = training_turns()
    vectors = embedder.embed([turn.text for turn in turns])
    rows = np.stack([features(turn.text, v) for turn, v in zip(turns, vectors, strict=True)])
    labels = np.array([turn.label for turn in turns])
    folds = np.array([zlib.crc32(turn.template.encode()) % FOLDS for turn in turns])
    least_need = least_need_of(rows, labels, folds)
    content = {
        "model_id": embedder.model_id,
        "least_need": round(least_need, 3),
        "weights": [[round(float(w), 3) for w in row] for row in trained(rows, labels)],
    }
    path = Path(selector_model.__file__).with_name(selector_model.WEIGHTS_FILE)
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{len(turns)} turns, {path.stat().st_size // 1000} kB, least need {least_need:.3f}")


if __name__ == "__main__":
    main()
