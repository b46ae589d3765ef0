"""A random model with the inputs and outputs of Moonshine, in onnxruntime's own format.

Its decoder has the trap of the real one: what a later step returns for the encoder's part of the
cache is not usable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from services.asr.engines.moonshine.model import DECODER_FILE, ENCODER_FILE, VOCABULARY_FILE
from services.asr.engines.moonshine.tokenizer import END_ID, START_ID
from services.runtime.onnx import onnxruntime

LAYERS: Final = 2
HEADS: Final = 2
HEAD_SIZE: Final = 4
WIDTH: Final = HEADS * HEAD_SIZE
HOP_SAMPLES: Final = 384
WORDS: Final = (
    *(b"<unk>", b"<s>", b"</s>"),
    *(
        f"▁{word}.".encode()
        for word in ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    ),
)
_FLOAT: Final = TensorProto.FLOAT
_INT: Final = TensorProto.INT64
Array = NDArray[np.float32]


def make_tiny_moonshine(folder: Path, *, seed: int = 8) -> TinyReference:
    """Writes the files of a model; returns the same model in numpy, without caches."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = _weights(seed)
    _save(_encoder(weights), folder / ENCODER_FILE)
    _save(_decoder(weights), folder / DECODER_FILE)
    (folder / VOCABULARY_FILE).write_bytes(b"".join(bytes([len(word)]) + word for word in WORDS))
    return TinyReference(weights)


class TinyReference:
    """The tiny model as plain sums over everything so far."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self._weights = weights

    def ids(self, samples: Array, most: int) -> list[int]:
        """Returns the ids that greedy decoding chooses, with the end if it is reached.

        Args:
            samples: What the encoder hears, shape [samples].
            most: The most ids.
        """
        states = self._states(samples)
        ids = [START_ID]
        while len(ids) <= most and ids[-1] != END_ID:
            ids.append(int(self._logits(ids, states).argmax()))
        return ids[1:]

    def _states(self, samples: Array) -> Array:
        frames = samples[: len(samples) // HOP_SAMPLES * HOP_SAMPLES].reshape(-1, HOP_SAMPLES)
        states: Array = np.tanh(frames @ self._weights["hear"].reshape(WIDTH, HOP_SAMPLES).T)
        return states

    def _logits(self, ids: list[int], states: Array) -> Array:
        hidden = self._weights["embed"][ids]
        for layer in range(LAYERS):
            for part, source in (("decoder", None), ("encoder", states)):
                hidden = hidden + self._attend(f"{layer}.{part}", hidden, source)
        logits: Array = hidden[-1] @ self._weights["write"]
        return logits

    def _attend(self, name: str, hidden: Array, source: Array | None) -> Array:
        other = hidden if source is None else source
        query, key, value = (
            (each @ self._weights[f"{name}.{kind}"]).reshape(-1, HEADS, HEAD_SIZE).swapaxes(0, 1)
            for kind, each in (("query", hidden), ("key", other), ("value", other))
        )
        scores = query @ key.swapaxes(1, 2)
        if source is None:
            scores = np.where(np.tri(scores.shape[1], dtype=bool), scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        heard: Array = (shares @ value).swapaxes(0, 1).reshape(-1, WIDTH)
        return heard


def _weights(seed: int) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "hear": (WIDTH, 1, HOP_SAMPLES),
        "embed": (len(WORDS), WIDTH),
        "write": (WIDTH, len(WORDS)),
    }
    for layer in range(LAYERS):
        for part in ("decoder", "encoder"):
            for kind in ("query", "key", "value"):
                shapes[f"{layer}.{part}.{kind}"] = (WIDTH, WIDTH)
    return {name: random.normal(0, 0.9, shape).astype(np.float32) for name, shape in shapes.items()}


class _Graph:
    """Collects the nodes of a graph."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]

    def add(self, operator: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        name = to or f"{operator}-{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, *values: int) -> str:
        name = f"constant-{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def model(self, inputs: list[Any], outputs: list[Any]) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "tiny", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", 18)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        onnx.checker.check_model(model)
        return model


def _encoder(weights: dict[str, Array]) -> onnx.ModelProto:
    graph = _Graph({"hear": weights["hear"]})
    channel = graph.add("Unsqueeze", "input_values", graph.constant(1))
    heard = graph.add("Conv", channel, "hear", strides=[HOP_SAMPLES])
    graph.add("Tanh", graph.add("Transpose", heard, perm=[0, 2, 1]), to="last_hidden_state")
    inputs = [
        helper.make_tensor_value_info("input_values", _FLOAT, ["b", "n"]),
        helper.make_tensor_value_info("attention_mask", _INT, ["b", "n"]),
    ]
    output = helper.make_tensor_value_info("last_hidden_state", _FLOAT, ["b", "s", WIDTH])
    return graph.model(inputs, [output])


def _decoder(weights: dict[str, Array]) -> onnx.ModelProto:
    graph = _Graph({name: value for name, value in weights.items() if name != "hear"})
    inputs = [
        helper.make_tensor_value_info("input_ids", _INT, ["b", "t"]),
        helper.make_tensor_value_info("encoder_hidden_states", _FLOAT, ["b", "s", WIDTH]),
        helper.make_tensor_value_info("encoder_attention_mask", _INT, ["b", "n"]),
        helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]),
    ]
    outputs = [helper.make_tensor_value_info("logits", _FLOAT, ["b", "t", len(WORDS)])]
    hidden = graph.add("Gather", "embed", "input_ids")
    for layer in range(LAYERS):
        for part in ("decoder", "encoder"):
            for kind in ("key", "value"):
                shape: list[str | int | None] = ["b", HEADS, "p", HEAD_SIZE]
                name = f"past_key_values.{layer}.{part}.{kind}"
                inputs.append(helper.make_tensor_value_info(name, _FLOAT, shape))
                name = f"present.{layer}.{part}.{kind}"
                outputs.append(helper.make_tensor_value_info(name, _FLOAT, shape))
            pair = _grown if part == "decoder" else _chosen
            key, value = (pair(graph, hidden, layer, kind) for kind in ("key", "value"))
            heard = _attention(graph, f"{layer}.{part}", hidden, key, value)
            hidden = graph.add("Add", hidden, heard)
    graph.add("MatMul", hidden, "write", to="logits")
    return graph.model(inputs, outputs)


def _grown(graph: _Graph, hidden: str, layer: int, kind: str) -> str:
    """Appends the new id's key or value to the past."""
    name = f"{layer}.decoder.{kind}"
    new = _heads(graph, graph.add("MatMul", hidden, name))
    return graph.add("Concat", f"past_key_values.{name}", new, to=f"present.{name}", axis=2)


def _chosen(graph: _Graph, hidden: str, layer: int, kind: str) -> str:
    """Takes the encoder's past, or computes it at the first step."""
    name = f"{layer}.encoder.{kind}"
    fresh = _heads(graph, graph.add("MatMul", "encoder_hidden_states", name))
    nothing = graph.add("Slice", fresh, graph.constant(0), graph.constant(0), graph.constant(2))
    past = f"past_key_values.{name}"
    graph.add("If", "use_cache_branch", to=f"present.{name}", **_branches(nothing, fresh))
    return graph.add("If", "use_cache_branch", **_branches(past, fresh))


def _branches(then: str, otherwise: str) -> dict[str, Any]:
    def branch(name: str) -> onnx.GraphProto:
        output = helper.make_tensor_value_info(f"{name}-out", _FLOAT, None)
        node = helper.make_node("Identity", [name], [f"{name}-out"])
        return helper.make_graph([node], "branch", [], [output])

    return {"then_branch": branch(then), "else_branch": branch(otherwise)}


def _attention(graph: _Graph, name: str, hidden: str, key: str, value: str) -> str:
    query = _heads(graph, graph.add("MatMul", hidden, f"{name}.query"))
    scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
    heard = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), value)
    together = graph.add("Transpose", heard, perm=[0, 2, 1, 3])
    return graph.add("Reshape", together, graph.constant(0, 0, WIDTH))


def _heads(graph: _Graph, flat: str) -> str:
    split = graph.add("Reshape", flat, graph.constant(0, 0, HEADS, HEAD_SIZE))
    return graph.add("Transpose", split, perm=[0, 2, 1, 3])


def _save(model: onnx.ModelProto, path: Path) -> None:
    """Writes a model in the format of `.ort` files."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # the file suits every processor
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
