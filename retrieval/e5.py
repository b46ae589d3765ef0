"""Builds the ONNX graph of multilingual-e5-small (Wang et al., 2024) from its packed weights.

It is a BERT encoder with a vocabulary of 250,000 pieces for about a hundred languages. The table of
their vectors keeps its 4 bits and stays in the file of the weights, which the runtime maps, so that
only the rows that texts use take memory. The layers compute with 7-bit weights: sums of pairs of
8-bit products overflow on processors without the instructions of VNNI.

Its raw vectors lie within a narrow cone, and texts of one language are nearer to each other than to
their translations. So the mean is subtracted, and the direction in which the languages differ is
removed (Yang et al., 2021, "A Simple and Effective Method To Eliminate the Self Language Bias in
Multilingual Representations"). Both are constants, because thresholds depend on them;
`scripts/centre_encoder.py` computes them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from retrieval.bert_graph import BertConfig, BertGraph, Place
from retrieval.model_files import (
    MODEL_FILE,
    ONE_BY_ONE_KEY,
    PACKED_FILE,
    PREFIX_KEY,
    WEIGHTS_SHA256_KEY,
    write_at_once,
)
from retrieval.packed_encoder import BLOCK, BLOCK_BYTES, PackedEncoder

CENTRE_FILE: Final = "e5_centre.json"
PREFIX: Final = "query: "
"""Upstream's mark of a text that is compared with others of its kind."""
_RECIPE: Final = "1"
"""To be changed with anything here, or in the tokenizer, that changes vectors."""
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
    """Writes `model.onnx` next to the packed weights.

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
        offset, size_bytes = packed.stretch(_TABLE)
        table = Place(file=PACKED_FILE, offset=offset, size_bytes=size_bytes)
        graph = _E5Graph(config, _weights(packed), centre, rows=shape.vocabulary_rows, table=table)
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
    """With a table of 4 bits in the file of the weights, layers of 7 bits, and centred vectors."""

    def __init__(
        self,
        config: BertConfig,
        weights: Mapping[str, NDArray[Any]],
        centre: Mapping[str, Any],
        *,
        rows: int,
        table: Place,
    ) -> None:
        super().__init__(config, weights)
        self._table = table
        self._centre = centre
        self._rows = rows
        self._quantised: dict[str, tuple[str, str, str]] = {}

    def _words(self) -> str:
        blocks = self._config.hidden_size // BLOCK
        dims = [self._rows, blocks * BLOCK_BYTES]
        table = self._outside("table", TensorProto.UINT8, dims, self._table)
        as_blocks = self._numbers("block_shape", 0, 0, blocks, BLOCK_BYTES)
        rows = self._node("Reshape", self._node("Gather", table, "input_ids"), as_blocks)
        scale, halves = self._part(rows, 0, 2), self._part(rows, 2, BLOCK_BYTES)
        low = self._node("BitwiseAnd", halves, self._constant("fifteen", np.uint8(15)))
        high = self._node(
            "BitShift", halves, self._constant("four", np.uint8(4)), direction="RIGHT"
        )
        numbers = self._node("Concat", low, high, axis=-1)
        numbers = self._node("Cast", numbers, to=TensorProto.FLOAT)
        numbers = self._node("Sub", numbers, self._constant("eight", np.float32(8)))
        numbers = self._node("Mul", numbers, self._halves(scale))
        joined = self._numbers("joined_shape", 0, 0, self._config.hidden_size)
        return self._node("Reshape", numbers, joined)

    def _halves(self, pairs: str) -> str:
        """Reads numbers of 16 bits, each from its two bytes, by a table of all of them."""
        every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
        low, high = (
            self._node("Cast", self._part(pairs, at, at + 1), to=TensorProto.INT32) for at in (0, 1)
        )
        high = self._node("Mul", high, self._constant("byte", np.int32(256)))
        index = self._node("Add", low, high)
        held = np.nan_to_num(every.astype(np.float32), posinf=0, neginf=0)
        return self._node("Gather", self._constant("halves", held), index)

    def _part(self, bytes_: str, start: int, end: int) -> str:
        return self._node(
            "Slice",
            bytes_,
            self._numbers(f"from_{start}", start),
            self._numbers(f"to_{end}", end),
            self._numbers("block_axis", 3),
        )

    def _numbers(self, name: str, *values: int) -> str:
        return self._constant(name, np.array(values, dtype=np.int64))

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
