"""Computes the constants that centre the vectors of multilingual-e5-small: `retrieval.e5`.

Run from the repository: `python -m scripts.centre_encoder`. It needs the model; afterwards the
model must be pulled again, and `scripts.train_selector` run. The texts are general, because the
topic of special ones would be removed with their mean.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import retrieval
from retrieval.e5 import CENTRE_FILE, build
from retrieval.embedding import Embedder
from retrieval.model_files import PACKED_FILE
from scripts.selector.turns import training_turns
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore
from text.scripts import is_ideographic

DECIMALS = 6


def centre_of(english: NDArray[np.float32], chinese: NDArray[np.float32]) -> dict[str, list[float]]:
    """Returns the mean of the languages' means, and the unit direction from one to the other."""
    means = [vectors.mean(axis=0) for vectors in (english, chinese)]
    apart = means[1] - means[0]
    return {
        "mean": _rounded((means[0] + means[1]) / 2),
        "language": _rounded(apart / np.linalg.norm(apart)),
    }


def _rounded(vector: NDArray[Any]) -> list[float]:
    return [round(float(number), DECIMALS) for number in vector]


def main() -> None:
    """Computes and writes."""
    models = ModelStore(ServiceSettings.from_environment().data_dir / "models")
    packed = models.path("multilingual-e5-small") / PACKED_FILE
    texts = [turn.text for turn in training_turns()]
    is_chinese = np.array([any(map(is_ideographic, text)) for text in texts])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / PACKED_FILE).symlink_to(packed)
        build(folder, {})
        vectors = Embedder(folder).embed(texts)
    centre = centre_of(vectors[~is_chinese], vectors[is_chinese])
    path = Path(retrieval.__file__).with_name(CENTRE_FILE)
    path.write_text(json.dumps(centre, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{is_chinese.sum()} Chinese texts, {(~is_chinese).sum()} others: {path}")


if __name__ == "__main__":
    main()
