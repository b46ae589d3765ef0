"""Random models in the formats of sherpa-onnx, with inputs, outputs and metadata of real ones.

What they hear is nonsense, but depends on the audio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FEATURES: Final = 80
LFR: Final = 7 * FEATURES
WIDTH: Final = 16
TOKENS: Final = (
    *("<blk>", "<sos/eos>", "<|zh|>", "<|NEUTRAL|>", "<|Speech|>", "<|withitn|>"),
    *("▁go", "▁for", "ward", "大", "家", "。"),
)
_FLOAT: Final = TensorProto.FLOAT
_INT32: Final = TensorProto.INT32
_INT64: Final = TensorProto.INT64
_RANDOM_SEED: Final = 5


def make_sense_voice(folder: Path, *, without: str = "") -> Path:
    """Writes a SenseVoice: x, x_length, language, text_norm in; logits out, four frames more.

    Args:
        folder: Where to.
        without: The metadata that is left out.
    """
    _tokens(folder)
    random = np.random.default_rng(_RANDOM_SEED)
    weights = _heard(random, LFR, len(TOKENS))
    weights[:, :6] = 0.0
    head = np.full((1, 4, len(TOKENS)), -1e3, np.float32)
    for frame, token in enumerate((2, 3, 4, 5)):
        head[0, frame, token] = 1e3
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["heard"]),
        helper.make_node("Concat", ["head", "heard"], ["all"], axis=1),
        # The other inputs must be used, or onnxruntime drops them.
        helper.make_node("Add", ["x_length", "language"], ["sum-a"]),
        helper.make_node("Add", ["sum-a", "text_norm"], ["sum-b"]),
        helper.make_node("Cast", ["sum-b"], ["sum-c"], to=_FLOAT),
        helper.make_node("Mul", ["sum-c", "zero"], ["sum-d"]),
        helper.make_node("Add", ["all", "sum-d"], ["logits"]),
    ]
    inputs = [
        _value("x", ["n", "t", LFR]),
        *(
            _value(name, ["n"], _INT32)
            for name in (
                "x_length",
                "language",
                "text_norm",
            )
        ),
    ]
    metadata = {
        "model_type": "sense_voice_ctc",
        "vocab_size": len(TOKENS),
        "lfr_window_size": 7,
        "lfr_window_shift": 6,
        "normalize_samples": 0,
        "with_itn": 14,
        "without_itn": 15,
        **{
            f"lang_{tag}": number
            for number, tag in enumerate(("auto", "zh", "en", "yue", "ja", "ko"))
        },
        **_normalised(),
    }
    metadata.pop(without, None)
    constants = {"weights": weights, "head": head, "zero": np.zeros(1, np.float32)}
    outputs = [_value("logits", ["n", "s", len(TOKENS)])]
    _save(folder / "model.int8.onnx", nodes, inputs, outputs, constants, metadata)
    return folder


def make_paraformer(folder: Path) -> Path:
    """Writes a streaming Paraformer: an encoder with weights of frames, and a decoder of them."""
    _tokens(folder)
    random = np.random.default_rng(_RANDOM_SEED)
    nodes = [
        helper.make_node("MatMul", ["speech", "weights"], ["mixed"]),
        helper.make_node("Tanh", ["mixed"], ["enc"]),
        helper.make_node("Identity", ["speech_lengths"], ["enc_len"]),
        helper.make_node("ReduceMean", ["enc", "last"], ["mean"], keepdims=0),
        helper.make_node("Abs", ["mean"], ["size"]),
        helper.make_node("Add", ["size", "often"], ["alphas"]),
    ]
    metadata = {
        "model_type": "paraformer",
        "vocab_size": len(TOKENS),
        "lfr_window_size": 7,
        "lfr_window_shift": 6,
        "encoder_output_size": WIDTH,
        "decoder_num_blocks": 1,
        "decoder_kernel_size": 3,
        **_normalised(),
    }
    _save(
        folder / "encoder.int8.onnx",
        nodes,
        [_value("speech", ["n", "t", LFR]), _value("speech_lengths", ["n"], _INT32)],
        [
            _value("enc", ["n", "t", WIDTH]),
            _value("enc_len", ["n"], _INT32),
            _value("alphas", ["n", "t"]),
        ],
        {
            "weights": _heard(random, LFR, WIDTH) / 10,
            "last": np.array([2], np.int64),
            "often": np.full(1, 0.2, np.float32),
        },
        metadata,
    )
    nodes = [
        helper.make_node("MatMul", ["acoustic_embeds", "write"], ["all"]),
        helper.make_node("Add", ["all", "favoured"], ["logits"]),
        helper.make_node("ArgMax", ["logits"], ["sample_ids"], axis=2, keepdims=0),
        helper.make_node("Identity", ["in_cache_0"], ["out_cache_0"]),
    ]
    favoured = np.zeros(len(TOKENS), np.float32)
    favoured[:6] = -1e3
    _save(
        folder / "decoder.int8.onnx",
        nodes,
        [
            _value("enc", ["n", "t", WIDTH]),
            _value("enc_len", ["n"], _INT32),
            _value("acoustic_embeds", ["n", "k", WIDTH]),
            _value("acoustic_embeds_len", ["n"], _INT32),
            _value("in_cache_0", ["n", WIDTH, 2]),
        ],
        [
            _value("logits", ["n", "k", len(TOKENS)]),
            _value("sample_ids", ["n", "k"], _INT64),
            _value("out_cache_0", ["n", WIDTH, 2]),
        ],
        {
            "write": random.normal(0, 1, (WIDTH, len(TOKENS))).astype(np.float32),
            "favoured": favoured,
        },
        {},
    )
    return folder


def make_zipformer(folder: Path) -> Path:
    """Writes a streaming Zipformer of one layer: encoder, decoder and joiner."""
    _tokens(folder)
    random = np.random.default_rng(_RANDOM_SEED)
    frames, chunk, context, kernel = 45, 32, 4, 3
    states: dict[str, list[int | str]] = {
        "cached_key_0": [context, "n", WIDTH],
        "cached_nonlin_attn_0": [1, "n", context, 3 * WIDTH // 4],
        "cached_val1_0": [context, "n", WIDTH],
        "cached_val2_0": [context, "n", WIDTH],
        "cached_conv1_0": ["n", WIDTH, kernel // 2],
        "cached_conv2_0": ["n", WIDTH, kernel // 2],
        "embed_states": ["n", 128, 3, 19],
    }
    nodes = [
        helper.make_node("Slice", ["x", "from", "to", "axis", "step"], ["few"]),
        helper.make_node("MatMul", ["few", "weights"], ["mixed"]),
        helper.make_node("Tanh", ["mixed"], ["encoder_out"]),
        *(helper.make_node("Identity", [name], [f"new_{name}"]) for name in states),
        helper.make_node("Add", ["processed_lens", "chunk"], ["new_processed_lens"]),
    ]
    metadata = {
        "model_type": "zipformer2",
        "version": 1,
        "T": frames,
        "decode_chunk_len": chunk,
        "num_encoder_layers": 1,
        "encoder_dims": WIDTH,
        "cnn_module_kernels": kernel,
        "left_context_len": context,
        "query_head_dims": WIDTH,
        "value_head_dims": WIDTH,
        "num_heads": 1,
    }
    _save(
        folder / "encoder-epoch-99-avg-1.onnx",
        nodes,
        [
            _value("x", ["n", frames, FEATURES]),
            *(_value(name, shape) for name, shape in states.items()),
            _value("processed_lens", ["n"], _INT64),
        ],
        [
            _value("encoder_out", ["n", chunk // 2, WIDTH]),
            *(_value(f"new_{name}", shape) for name, shape in states.items()),
            _value("new_processed_lens", ["n"], _INT64),
        ],
        {
            "weights": _heard(random, FEATURES, WIDTH) / 10,
            "chunk": np.array([chunk], np.int64),
            "from": np.array([0], np.int64),
            "to": np.array([chunk], np.int64),
            "axis": np.array([1], np.int64),
            "step": np.array([2], np.int64),
        },
        metadata,
    )
    nodes = [
        helper.make_node("Gather", ["embed", "y"], ["embedded"]),
        helper.make_node("ReduceMean", ["embedded", "one"], ["decoder_out"], keepdims=0),
    ]
    _save(
        folder / "decoder-epoch-99-avg-1.onnx",
        nodes,
        [_value("y", ["n", 2], _INT64)],
        [_value("decoder_out", ["n", WIDTH])],
        {
            "embed": random.normal(0, 1, (len(TOKENS), WIDTH)).astype(np.float32),
            "one": np.array([1], np.int64),
        },
        {"vocab_size": len(TOKENS), "context_size": 2},
    )
    nodes = [
        helper.make_node("Add", ["encoder_out", "decoder_out"], ["sum"]),
        helper.make_node("MatMul", ["sum", "write"], ["all"]),
        helper.make_node("Add", ["all", "favoured"], ["logit"]),
    ]
    favoured = np.zeros(len(TOKENS), np.float32)
    favoured[0], favoured[1:6] = 4.0, -1e3
    _save(
        folder / "joiner-epoch-99-avg-1.onnx",
        nodes,
        [_value("encoder_out", ["n", WIDTH]), _value("decoder_out", ["n", WIDTH])],
        [_value("logit", ["n", len(TOKENS)])],
        {
            "write": random.normal(0, 1, (WIDTH, len(TOKENS))).astype(np.float32),
            "favoured": favoured,
        },
        {"joiner_dim": WIDTH},
    )
    return folder


def _heard(random: np.random.Generator, features: int, width: int) -> NDArray[np.float32]:
    """Weights for which the loudness of all features together does not matter."""
    weights = random.normal(0, 1, (features, width)).astype(np.float32)
    weights -= weights.mean(axis=0)
    return weights


def _normalised() -> dict[str, object]:
    """Features of any loudness become small numbers."""
    return {
        "neg_mean": ",".join(["-10"] * LFR),
        "inv_stddev": ",".join(["0.1"] * LFR),
    }


def _tokens(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = (f"{token} {number}" for number, token in enumerate(TOKENS))
    (folder / "tokens.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _value(name: str, shape: Sequence[int | str], kind: int = _FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[Any],
    outputs: list[Any],
    constants: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, object],
) -> None:
    fixed = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, fixed)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {name: str(value) for name, value in metadata.items()})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
