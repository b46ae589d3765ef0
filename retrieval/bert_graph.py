"""The ONNX graph of a BERT sentence encoder (Devlin et al., 2019), from its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_OPSET: Final = 20
# The oldest file version with this operator set, so that older runtimes can load the file.
_IR_VERSION: Final = 9
# Added to the attention of padding before the softmax; exp() of it is 0.
_MASKED: Final = -1e9


@dataclass(frozen=True, kw_only=True)
class BertConfig:
    """The shape of an encoder."""

    hidden_size: int
    heads: int
    layers: int
    layer_norm_epsilon: float


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the numbers of a constant are.

    Attributes:
        file: The file, in the folder of the graph.
        offset: The first byte.
        size_bytes: How many bytes.
    """

    file: str
    offset: int
    size_bytes: int


class BertGraph:
    """Collects nodes and constants; each method adds a part and returns the name of its output.

    The graph takes `input_ids` and `attention_mask`, int64 [batch, tokens], and returns
    `embedding`, float32 [batch, hidden_size], of length 1.
    """

    def __init__(self, config: BertConfig, weights: Mapping[str, NDArray[Any]]) -> None:
        self._config = config
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def model(self) -> onnx.ModelProto:
        """Returns the graph.

        Raises:
            ValueError: A weight is missing.
        """
        mask = self._node("Cast", "attention_mask", to=TensorProto.FLOAT)
        hidden = self._embeddings()
        attention_bias = self._attention_bias(mask)
        for layer in range(self._config.layers):
            hidden = self._layer(f"encoder.layer.{layer}", hidden, attention_bias)
        self._mean_of_tokens(hidden, mask)
        tokens_shape = ["batch", "tokens"]
        graph = helper.make_graph(
            self._nodes,
            "sentence_encoder",
            [
                helper.make_tensor_value_info("input_ids", TensorProto.INT64, tokens_shape),
                helper.make_tensor_value_info("attention_mask", TensorProto.INT64, tokens_shape),
            ],
            [
                helper.make_tensor_value_info(
                    "embedding", TensorProto.FLOAT, ["batch", self._config.hidden_size]
                )
            ],
            list(self._constants.values()),
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="anima",
        )

    def _embeddings(self) -> str:
        # One segment only, so its vector is added to the positions beforehand.
        positions = self._array("embeddings.position_embeddings.weight")
        segments = self._array("embeddings.token_type_embeddings.weight")
        table = self._constant("positions", positions + segments[0])
        token_count = self._node("Shape", "input_ids", start=1, end=2)
        start, axis = self._constant("start", _int64(0)), self._constant("axis", _int64(0))
        used = self._node("Slice", table, start, token_count, axis)
        return self._layer_norm("embeddings.LayerNorm", self._node("Add", self._words(), used))

    def _words(self) -> str:
        table = self._weight("embeddings.word_embeddings.weight")
        return self._node("Gather", table, "input_ids")

    def _attention_bias(self, mask: str) -> str:
        padding = self._node("Sub", self._constant("one", np.float32(1)), mask)
        bias = self._node("Mul", padding, self._constant("masked", np.float32(_MASKED)))
        return self._node("Unsqueeze", bias, self._constant("head_axes", _int64(1, 2)))

    def _layer(self, name: str, hidden: str, attention_bias: str) -> str:
        attended = self._attention(f"{name}.attention", hidden, attention_bias)
        hidden = self._layer_norm(
            f"{name}.attention.output.LayerNorm", self._node("Add", attended, hidden)
        )
        inner = self._node("Gelu", self._dense(f"{name}.intermediate.dense", hidden))
        outer = self._dense(f"{name}.output.dense", inner)
        return self._layer_norm(f"{name}.output.LayerNorm", self._node("Add", outer, hidden))

    def _attention(self, name: str, hidden: str, attention_bias: str) -> str:
        head_size = self._config.hidden_size // self._config.heads
        split = self._constant("split_shape", _int64(0, 0, self._config.heads, head_size))
        query, key, value = (
            self._node("Reshape", self._dense(f"{name}.self.{part}", hidden), split)
            for part in ("query", "key", "value")
        )
        query = self._node("Transpose", query, perm=[0, 2, 1, 3])
        key = self._node("Transpose", key, perm=[0, 2, 3, 1])
        value = self._node("Transpose", value, perm=[0, 2, 1, 3])
        scale = self._constant("scale", np.float32(head_size**-0.5))
        scores = self._node("Mul", self._node("MatMul", query, key), scale)
        weights = self._node("Softmax", self._node("Add", scores, attention_bias), axis=-1)
        heads = self._node("Transpose", self._node("MatMul", weights, value), perm=[0, 2, 1, 3])
        joined = self._constant("joined_shape", _int64(0, 0, self._config.hidden_size))
        return self._dense(f"{name}.output.dense", self._node("Reshape", heads, joined))

    def _mean_of_tokens(self, hidden: str, mask: str) -> None:
        weights = self._node("Unsqueeze", mask, self._constant("last_axis", _int64(2)))
        token_axis = self._constant("token_axis", _int64(1))
        total = self._node("ReduceSum", self._node("Mul", hidden, weights), token_axis, keepdims=0)
        # Normalised to length 1 below, so the sum works as well as the mean.
        self._end(total)

    def _end(self, total: str) -> None:
        self._nodes.append(helper.make_node("Identity", [self._unit(total)], ["embedding"]))

    def _unit(self, vectors: str) -> str:
        axis = self._constant("vector_axis", _int64(1))
        length = self._node("ReduceL2", vectors, axis, keepdims=1)
        at_least = self._node("Max", length, self._constant("tiny", np.float32(1e-12)))
        return self._node("Div", vectors, at_least)

    def _dense(self, name: str, hidden: str) -> str:
        matrix = self._constant(f"{name}.matrix", self._array(f"{name}.weight").T)
        product = self._node("MatMul", hidden, matrix)
        return self._node("Add", product, self._weight(f"{name}.bias"))

    def _outside(self, name: str, kind: int, dims: Sequence[int], place: Place) -> str:
        """Adds a constant that lies in a file beside the graph, which the runtime maps."""
        tensor = TensorProto(
            name=name, data_type=kind, dims=dims, data_location=TensorProto.EXTERNAL
        )
        for key, value in (
            ("location", place.file),
            ("offset", str(place.offset)),
            ("length", str(place.size_bytes)),
        ):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        self._constants[name] = tensor
        return name

    def _layer_norm(self, name: str, hidden: str) -> str:
        return self._node(
            "LayerNormalization",
            hidden,
            self._weight(f"{name}.weight"),
            self._weight(f"{name}.bias"),
            axis=-1,
            epsilon=self._config.layer_norm_epsilon,
        )

    def _node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def _weight(self, name: str) -> str:
        return self._constant(name, self._array(name))

    def _array(self, name: str) -> NDArray[np.float32]:
        if name not in self._weights:
            raise ValueError(f"the weights have no {name}")
        return self._weights[name].astype(np.float32)

    def _constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        if name not in self._constants:
            # Not ascontiguousarray: it makes a 0-d constant 1-d, and the runtime then fuses less.
            array = np.asarray(value, order="C")
            self._constants[name] = numpy_helper.from_array(array, name)
        return name


def _int64(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)
