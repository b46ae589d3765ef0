"""The published encoder, when it has been pulled."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from retrieval.embedding import Embedder
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore
from tests.requirements import need
from tests.unit.retrieval.tiny_bert import NumpyBert

TEXTS = [
    "Where did I go on holiday?",
    "My sister recommended a restaurant in Lisbon; we ate grilled sardines there in May.",
    "你好，世界",
]


@pytest.fixture(scope="module")
def folder() -> Path:
    need("minilm")
    return ModelStore(ServiceSettings.from_environment().data_dir / "models").path("minilm-l6-v2")


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Embedder:
    return Embedder(folder)


def test_it_computes_what_numpy_computes(folder: Path, embedder: Embedder) -> None:
    weights = load_file(folder / "model.safetensors")
    reference = NumpyBert(
        {name: value for name, value in weights.items() if value.dtype == np.float32},
        layers=6,
        heads=12,
        epsilon=1e-12,
    )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    expected = [reference.embed(tokenizer.encode(text).ids) for text in TEXTS]
    np.testing.assert_allclose(embedder.embed(TEXTS), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "like", "unlike"),
    [
        ("A man is eating food.", "A man is eating a piece of bread.", "The girl carries a baby."),
        ("How can I lose weight?", "What is the best way to get slim?", "How do I bake bread?"),
        ("What is my job?", "I work as a nurse", "I planted tomatoes on the balcony"),
        ("The movie was great", "I loved the film", "The train was late again"),
    ],
)
def test_like_sentences_are_near(embedder: Embedder, text: str, like: str, unlike: str) -> None:
    here, near, far = embedder.embed([text, like, unlike])
    assert here @ near > 0.4
    assert here @ near > here @ far + 0.25


def test_the_published_example_has_its_published_similarities(embedder: Embedder) -> None:
    # https://www.sbert.net/docs/quickstart.html
    vectors = embedder.embed(
        [
            "The weather is lovely today.",
            "It's so sunny outside!",
            "He drove to the stadium.",
        ]
    )
    similarities = vectors @ vectors.T
    assert similarities[0, 1] == pytest.approx(0.6660, abs=1e-4)
    assert similarities[0, 2] == pytest.approx(0.1046, abs=1e-4)
    assert similarities[1, 2] == pytest.approx(0.1411, abs=1e-4)
