"""Builds the ONNX graph of a BERT sentence encoder from its published weights, without torch.

The encoder is all-MiniLM-L6-v2 (Wang et al., 2020, "MiniLM"; Reimers and Gurevych, 2019,
"Sentence-BERT"): six BERT layers (Devlin et al., 2019), the mean over the tokens, and length 1.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from safetensors import SafetensorError
from safetensors.numpy import load_file

from retrieval.bert_graph import BertConfig, BertGraph, Place
from retrieval.model_files import MODEL_FILE, WEIGHTS_SHA256_KEY, write_at_once

_WEIGHTS_FILE = "model.safetensors"
_CONFIG_FILE = "config.json"


def build_onnx(folder: Path) -> None:
    """Writes `model.onnx` next to the weights of a BERT encoder.

    The graph takes `input_ids` and `attention_mask`, int64 [batch, tokens], and returns
    `embedding`,
    float32 [batch, hidden_size], of length 1. The file is written atomically.

    Args:
        folder: Contains `model.safetensors` and `config.json` in Hugging Face format.

    Raises:
        FileNotFoundError: One of the two files is missing.
        ValueError: They are not a supported BERT encoder; the text says what differs.
    """
    config_path, weights_path = folder / _CONFIG_FILE, folder / _WEIGHTS_FILE
    for path in (config_path, weights_path):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing")
    config = _read_config(config_path)
    try:
        weights = load_file(weights_path)
    except SafetensorError as error:
        raise ValueError(f"{weights_path} is not a safetensors file: {error}") from error
    with weights_path.open("rb") as file:
        weights_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    model = _MiniLmGraph(config, weights, _places(weights_path)).model()
    helper.set_model_props(model, {WEIGHTS_SHA256_KEY: weights_sha256})
    write_at_once(folder / MODEL_FILE, model.SerializeToString())
    onnx.checker.check_model(str(folder / MODEL_FILE))


class _MiniLmGraph(BertGraph):
    """With the large matrices where they are, in the file of the weights."""

    def __init__(
        self,
        config: BertConfig,
        weights: Mapping[str, NDArray[Any]],
        places: Mapping[str, Place],
    ) -> None:
        super().__init__(config, weights)
        self._places = places

    def _words(self) -> str:
        table = self._held("embeddings.word_embeddings.weight")
        return self._node("Gather", table, "input_ids")

    def _dense(self, name: str, hidden: str) -> str:
        # The runtime transposes a constant once, when it loads the graph.
        matrix = self._node("Transpose", self._held(f"{name}.weight"), perm=[1, 0])
        product = self._node("MatMul", hidden, matrix)
        return self._node("Add", product, self._weight(f"{name}.bias"))

    def _held(self, name: str) -> str:
        place = self._places.get(name)
        if place is None:
            return self._weight(name)
        return self._outside(name, TensorProto.FLOAT, self._array(name).shape, place)


def _places(path: Path) -> dict[str, Place]:
    """Returns where the matrices of a safetensors file are, if they are numbers of 32 bits."""
    with path.open("rb") as file:
        (size_bytes,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(size_bytes))
    start = 8 + size_bytes
    return {
        name: Place(
            file=path.name,
            offset=start + entry["data_offsets"][0],
            size_bytes=entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
        if entry.get("dtype") == "F32" and len(entry["shape"]) == 2
    }


def _read_config(path: Path) -> BertConfig:
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        supported = {"model_type": "bert", "hidden_act": "gelu"}
        for key, value in supported.items():
            if config[key] != value:
                raise ValueError(f"{path}: {key} is {config[key]!r}, supported is {value!r}")
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise ValueError(f"{path}: only absolute positions are supported")
        return BertConfig(
            hidden_size=int(config["hidden_size"]),
            heads=int(config["num_attention_heads"]),
            layers=int(config["num_hidden_layers"]),
            layer_norm_epsilon=float(config["layer_norm_eps"]),
        )
    except KeyError as error:
        raise ValueError(f"{path}: {error.args[0]} is missing") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
