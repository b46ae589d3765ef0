from pathlib import Path

import numpy as np
import onnx
import pytest

from retrieval.e5 import PREFIX, build
from retrieval.embedding import Embedder
from retrieval.model_files import MODEL_FILE, PACKED_FILE
from retrieval.packed_encoder import PackedEncoder
from retrieval.unigram import Unigram
from tests.unit.retrieval import tiny_packed
from tests.unit.retrieval.tiny_bert import NumpyBert
from tests.unit.retrieval.tiny_packed import HEADS, HIDDEN, LAYERS, write_tiny_packed

TEXTS = ["dogs", "a cat and a dog", "", "z " * 400, "Dogs! 猫狗", "cat"]


def centre(seed: int = 1) -> dict[str, list[float]]:
    random = np.random.default_rng(seed)
    language = random.normal(0, 1, HIDDEN)
    return {
        "mean": (random.normal(0, 0.1, HIDDEN)).tolist(),
        "language": (language / np.linalg.norm(language)).tolist(),
    }


def reference(folder: Path, weights: tiny_packed.Weights) -> np.ndarray:
    bert = NumpyBert(weights, layers=LAYERS, heads=HEADS, epsilon=1e-12)
    with PackedEncoder(folder / PACKED_FILE) as packed:
        tokenizer = Unigram(packed.vocabulary, max_tokens=256)
    return np.array([bert.embed(tokenizer.encode(PREFIX + text)) for text in TEXTS])


def test_the_graph_computes_what_numpy_computes(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    expected = reference(folder, write_tiny_packed(folder))
    build(folder, {})
    embedder = Embedder(folder)
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimensions) == (len(TEXTS), HIDDEN)
    # The layers have 7 bits and their inputs 8.
    assert (vectors * expected).sum(axis=1).min() > 0.99
    assert embedder.tokenizer_json is None


def test_vectors_are_centred_and_without_the_direction_of_languages(tmp_path: Path) -> None:
    folder, constants = tmp_path / "tiny", centre()
    write_tiny_packed(folder)
    build(folder, {})
    raw = Embedder(folder).embed(TEXTS).astype(np.float64)
    build(folder, constants)
    vectors = Embedder(folder).embed(TEXTS)
    language = np.array(constants["language"])
    expected = raw - np.array(constants["mean"])
    expected -= np.outer(expected @ language, language)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=2e-6)
    assert np.abs(vectors @ language).max() < 1e-6


def test_a_text_has_the_same_vector_in_any_company(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    write_tiny_packed(folder)
    build(folder, centre())
    embedder = Embedder(folder)
    together = embedder.embed(TEXTS)
    alone = np.stack([embedder.embed_query(text) for text in TEXTS])
    assert np.array_equal(together, alone)


def test_the_model_id_changes_with_everything_that_changes_vectors(tmp_path: Path) -> None:
    ids = []
    for number, (seed, constants) in enumerate([(0, 1), (0, 1), (1, 1), (0, 2)]):
        folder = tmp_path / str(number) / "tiny"
        write_tiny_packed(folder, seed)
        build(folder, centre(constants))
        ids.append(Embedder(folder).model_id)
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(one.startswith("tiny@") for one in ids)


def test_the_table_stays_in_the_file_of_the_weights(tmp_path: Path) -> None:
    write_tiny_packed(tmp_path)
    build(tmp_path, {})
    assert {path.name for path in tmp_path.iterdir()} == {MODEL_FILE, PACKED_FILE}
    references = b"".join(
        entry.value.encode()
        for tensor in onnx.load(tmp_path / MODEL_FILE, load_external_data=False).graph.initializer
        for entry in tensor.external_data
    )
    assert references.startswith(PACKED_FILE.encode())


def test_a_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=PACKED_FILE):
        build(tmp_path, {})
    (tmp_path / PACKED_FILE).write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ValueError, match="is not a packed encoder: it begins with b'GGUF'"):
        build(tmp_path, {})
    write_tiny_packed(tmp_path)
    content = (tmp_path / PACKED_FILE).read_bytes()
    for size in (20, 60, 300, 900):
        (tmp_path / PACKED_FILE).write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"is damaged|is not a packed encoder"):
            build(tmp_path, {})
