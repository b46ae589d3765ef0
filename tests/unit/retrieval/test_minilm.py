import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from retrieval.embedding import Embedder
from retrieval.minilm import build_onnx
from tests.unit.retrieval.tiny_bert import CONFIG, NumpyBert, write_tiny_bert

TEXTS = ["dogs", "a cat and a dog", "", "z " * 300, "Dogs! 猫"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    write_tiny_bert(folder)
    return folder


def test_the_graph_computes_what_numpy_computes(folder: Path) -> None:
    build_onnx(folder)
    embedder = Embedder(folder)
    reference = NumpyBert(
        load_file(folder / "model.safetensors"),
        layers=CONFIG["num_hidden_layers"],
        heads=CONFIG["num_attention_heads"],
        epsilon=CONFIG["layer_norm_eps"],
    )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=256)
    expected = [reference.embed(tokenizer.encode(text).ids) for text in TEXTS]
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimensions) == (len(TEXTS), 32)
    np.testing.assert_allclose(vectors, expected, atol=2e-6)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(vectors, alone, atol=2e-6)


def test_the_model_id_names_the_weights_and_not_the_file(folder: Path, tmp_path: Path) -> None:
    build_onnx(folder)
    same = tmp_path / "again" / "tiny"
    write_tiny_bert(same)
    build_onnx(same)
    other = tmp_path / "other" / "tiny"
    write_tiny_bert(other, seed=1)
    build_onnx(other)
    assert Embedder(folder).model_id == Embedder(same).model_id
    assert Embedder(folder).model_id.startswith("tiny@")
    assert Embedder(folder).model_id != Embedder(other).model_id


def test_no_texts_give_no_vectors(folder: Path) -> None:
    build_onnx(folder)
    assert Embedder(folder).embed([]).shape == (0, 32)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_building_names_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        build_onnx(folder)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_loading_names_a_missing_file(folder: Path, name: str) -> None:
    build_onnx(folder)
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        Embedder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"model_type": "roberta"}, "model_type is 'roberta'"),
        ({"position_embedding_type": "relative_key"}, "absolute positions"),
    ],
)
def test_building_refuses_another_architecture(
    folder: Path, change: dict[str, str], message: str
) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG | change), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        build_onnx(folder)
    assert not (folder / "model.onnx").exists()


def test_building_refuses_broken_files(folder: Path) -> None:
    config = (folder / "config.json").read_text(encoding="utf-8")
    (folder / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="not JSON"):
        build_onnx(folder)
    (folder / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(ValueError, match="hidden_act is missing"):
        build_onnx(folder)
    (folder / "config.json").write_text(config, encoding="utf-8")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"no encoder\.layer\.1\.output\.dense\.bias"):
        build_onnx(folder)
    (folder / "model.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00broken")
    with pytest.raises(ValueError, match="not a safetensors file"):
        build_onnx(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
