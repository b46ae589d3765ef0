"""Builds the ONNX graph of multilingual-e5-small (Wang et al., 2024) from its packed weights.

It is a BERT encoder with a vocabulary of 250,000 pieces for about a hundred languages. The table of
their vectors keeps its 4 bits and lies in a file of its own, which the runtime maps, so that only
the rows that texts use take memory. The layers compute with 7-bit weights: sums of pairs of 8-bit
products overflow on processors without the instructions of VNNI.

Its raw vectors lie within a narrow cone, and texts of one language are nearer to each other than to
their translations. So the mean is subtracted, and the direction in which the languages differ is
removed (Yang et al., 2021, "A Simple and Effective Method To Eliminate the Self Language Bias in
Multilingual Representations"). Both are constants, because thresholds depend on them;
`scripts/centre_encoder.py` computes them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from retrieval.bert_graph import BertConfig, BertGraph
from retrieval.model_files import (
    MODEL_FILE,
    ONE_BY_ONE_KEY,
    PACKED_FILE,
    PREFIX_KEY,
    WEIGHTS_SHA256_KEY,
    write_at_once,
)
from retrieval.packed_encoder import PackedEncoder

TABLE_FILE: Final = "table.bin"
CENTRE_FILE: Final = "e5_centre.json"
PREFIX: Final = "query: "
"""Upstream's mark of a text that is compared with others of its kind."""
_RECIPE: Final = "1"
"""To be changed with anything here, or in the tokenizer, that changes vectors."""
_PAGE_BYTES: Final = 4096
_MOST: Final = 63
"""The largest weight of 7 bits."""
_PARTS: Final = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "attention.output.LayerNorm": "aln",
    "intermediate.dense": "fi",
    "output.dense": "fo",
    "output.LayerNorm": "oln",
}
_TABLE: Final = "emb.word"


def build_onnx(folder: Path) -> None:
    """Writes `model.onnx` and `table.bin` next to the packed weights.

    The graph takes and returns what that of `retrieval.bert_graph` does.

    Args:
        folder: Contains `e5-small-q4.bin`.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: It has another format.
    """
    centre = json.loads((files("retrieval") / CENTRE_FILE).read_text(encoding="utf-8"))
    build(folder, centre)


def build(folder: Path, centre: Mapping[str, Any]) -> None:
    """As `build_onnx`, with the constants `mean` and `language`; if there are none, not centred."""
    path = folder / PACKED_FILE
    with PackedEncoder(path) as packed:
        shape = packed.shape
        config = BertConfig(
            hidden_size=shape.hidden_size,
            heads=shape.heads,
            layers=shape.layers,
            layer_norm_epsilon=shape.layer_norm_epsilon,
        )
        scales, halves = packed.blocks(_TABLE)
        graph = _E5Graph(config, _weights(packed), centre, rows=shape.vocabulary_rows)
        model = graph.model()
    with path.open("rb") as file:
        weights_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    recipe = json.dumps([weights_sha256, _RECIPE, PREFIX, _MOST, dict(centre)], sort_keys=True)
    props = {
        WEIGHTS_SHA256_KEY: hashlib.sha256(recipe.encode()).hexdigest(),
        PREFIX_KEY: PREFIX,
        ONE_BY_ONE_KEY: "1",
    }
    helper.set_model_props(model, props)
    packed_bytes = halves.tobytes()
    padding = bytes(-len(packed_bytes) % _PAGE_BYTES)
    write_at_once(folder / TABLE_FILE, packed_bytes + padding + scales.tobytes())
    write_at_once(folder / MODEL_FILE, model.SerializeToString())
    onnx.checker.check_model(str(folder / MODEL_FILE))


def _weights(packed: PackedEncoder) -> dict[str, NDArray[Any]]:
    """Returns the weights under the names of Hugging Face, but for the table of the vocabulary."""
    hidden = packed.shape.hidden_size
    found = {
        "embeddings.position_embeddings.weight": packed.array("emb.pos").reshape(-1, hidden),
        "embeddings.token_type_embeddings.weight": packed.array("emb.type").reshape(-1, hidden),
        "embeddings.LayerNorm.weight": packed.array("emb.ln.w"),
        "embeddings.LayerNorm.bias": packed.array("emb.ln.b"),
    }
    for layer in range(packed.shape.layers):
        for name, part in _PARTS.items():
            bias = packed.array(f"l{layer}.{part}.b")
            weight = packed.array(f"l{layer}.{part}.w")
            is_matrix = weight.size != bias.size
            target = f"encoder.layer.{layer}.{name}"
            found[f"{target}.weight"] = weight.reshape(bias.size, -1) if is_matrix else weight
            found[f"{target}.bias"] = bias
    return found


class _E5Graph(BertGraph):
    """With a table of 4 bits in its own file, layers of 7 bits, and centred vectors."""

    def __init__(
        self,
        config: BertConfig,
        weights: Mapping[str, NDArray[Any]],
        centre: Mapping[str, Any],
        *,
        rows: int,
    ) -> None:
        super().__init__(config, weights)
        self._centre = centre
        self._rows = rows
        self._quantised: dict[str, tuple[str, str, str]] = {}

    def _words(self) -> str:
        blocks, half = self._config.hidden_size // 32, self._config.hidden_size // 2
        start = -(-self._rows * half // _PAGE_BYTES) * _PAGE_BYTES
        table = self._outside("table", TensorProto.UINT8, [self._rows, half], 0)
        scales = self._outside("scales", TensorProto.FLOAT16, [self._rows, blocks], start)
        as_blocks = self._constant("block_shape", np.array([0, 0, blocks, 16], dtype=np.int64))
        halves = self._node("Reshape", self._node("Gather", table, "input_ids"), as_blocks)
        low = self._node("BitwiseAnd", halves, self._constant("fifteen", np.uint8(15)))
        high = self._node(
            "BitShift", halves, self._constant("four", np.uint8(4)), direction="RIGHT"
        )
        numbers = self._node("Concat", low, high, axis=-1)
        numbers = self._node("Cast", numbers, to=TensorProto.FLOAT)
        numbers = self._node("Sub", numbers, self._constant("eight", np.float32(8)))
        scale = self._node("Gather", scales, "input_ids")
        scale = self._node("Cast", scale, to=TensorProto.FLOAT)
        last = self._constant("block_axis", np.array([3], dtype=np.int64))
        numbers = self._node("Mul", numbers, self._node("Unsqueeze", scale, last))
        joined = np.array([0, 0, self._config.hidden_size], dtype=np.int64)
        return self._node("Reshape", numbers, self._constant("joined_shape", joined))

    def _dense(self, name: str, hidden: str) -> str:
        matrix = self._array(f"{name}.weight").T
        scales = np.maximum(np.abs(matrix).max(axis=0) / _MOST, 1e-12).astype(np.float32)
        rounded = np.rint(matrix / scales).astype(np.int8)
        quantised, scale, zero = self._quantise(hidden)
        sums = self._node(
            "MatMulInteger", quantised, self._constant(f"{name}.matrix", rounded), zero
        )
        sums = self._node("Cast", sums, to=TensorProto.FLOAT)
        scale = self._node("Mul", scale, self._constant(f"{name}.scales", scales))
        return self._node("Add", self._node("Mul", sums, scale), self._weight(f"{name}.bias"))

    def _quantise(self, hidden: str) -> tuple[str, str, str]:
        """Quantises what several matrices are multiplied with once."""
        if hidden not in self._quantised:
            outputs = (f"{hidden}_quantised", f"{hidden}_scale", f"{hidden}_zero")
            self._nodes.append(helper.make_node("DynamicQuantizeLinear", [hidden], list(outputs)))
            self._quantised[hidden] = outputs
        return self._quantised[hidden]

    def _end(self, total: str) -> None:
        vector = self._unit(total)
        if self._centre:
            mean, language = (
                np.array(self._centre[part], dtype=np.float32) for part in ("mean", "language")
            )
            vector = self._node("Sub", vector, self._constant("mean", mean))
            column = self._constant("language", language[:, np.newaxis])
            along = self._node("MatMul", vector, column)
            along = self._node("Mul", along, self._constant("language_row", language[np.newaxis]))
            vector = self._unit(self._node("Sub", vector, along))
        self._nodes.append(helper.make_node("Identity", [vector], ["embedding"]))

    def _outside(self, name: str, kind: int, dims: list[int], offset: int) -> str:
        """Adds a constant that lies in the file of the table."""
        tensor = TensorProto(
            name=name, data_type=kind, dims=dims, data_location=TensorProto.EXTERNAL
        )
        width = 1 if kind == TensorProto.UINT8 else 2
        for key, value in _place(offset, width * dims[0] * dims[1]):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        self._constants[name] = tensor
        return name


def _place(offset: int, length: int) -> Iterator[tuple[str, str]]:
    yield "location", TABLE_FILE
    yield "offset", str(offset)
    yield "length", str(length)
