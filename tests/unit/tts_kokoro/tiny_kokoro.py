"""A model with the inputs, outputs and inner names of Kokoro-82M, and no weights.

Each symbol lasts 1 to 5 frames, by its number; each end of the speech 14 frames; all of it divided
by the speed. The sound is a tone whose loudness is the mean of the style.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from services.runtime.models.store import OWN_REGISTRY, ModelStore
from services.tts.engines.kokoro.model import (
    FRAME_SAMPLES,
    MAX_SYMBOLS,
    MODEL_FILE,
    MODEL_NAME,
    VOCABULARY_FILE,
    VOICES_FOLDER,
)

EDGE_FRAMES = 14
_SYMBOLS = (
    ' ;:,.!?—…"()“”ʣʥʦʨꭧAIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœ'
    "ɹɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲ↓→↗↘ᵻ\u0303"
)
VOCABULARY = {symbol: number for number, symbol in enumerate(_SYMBOLS, 1)}
VOICES = ("af_heart", "bm_george", "ff_siwis", "jf_alpha", "zf_xiaoxiao")


def frames_of(symbols: str) -> list[int]:
    """Returns the frames of symbols at normal speed."""
    return [VOCABULARY[symbol] % 5 + 1 for symbol in symbols]


def tiny_kokoro(*, frame_samples: int = FRAME_SAMPLES) -> bytes:
    """Returns the model; with other `frame_samples` one whose durations do not fit its sound."""
    constants: dict[str, NDArray[Any]] = {
        "zero": np.array(0, np.int64),
        "five": np.array(5, np.int64),
        "one": np.array(1, np.int64),
        "edge": np.array(EDGE_FRAMES, np.int64),
        "least": np.array(1.0, np.float32),
        "scalar": np.array([0], np.int64),
        "frame": np.array(float(frame_samples), np.float32),
        "start": np.array(0.0, np.float32),
        "step": np.array(1.0, np.float32),
        "pitch": np.array(0.06, np.float32),
    }
    nodes = [
        helper.make_node("Mod", ["tokens", "five"], ["rest"]),
        helper.make_node("Add", ["rest", "one"], ["inner"]),
        helper.make_node("Equal", ["tokens", "zero"], ["is_edge"]),
        helper.make_node("Where", ["is_edge", "edge", "inner"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["long"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["long", "speed"], ["shortened"]),
        helper.make_node("Round", ["shortened"], ["rounded"]),
        helper.make_node("Clip", ["rounded", "least"], ["/encoder/Clip_output_0"]),
        helper.make_node("ReduceSum", ["/encoder/Clip_output_0"], ["frames"], keepdims=0),
        helper.make_node("Mul", ["frames", "frame"], ["length"]),
        helper.make_node("Range", ["start", "length", "step"], ["clock"]),
        helper.make_node("Mul", ["clock", "pitch"], ["phase"]),
        helper.make_node("Sin", ["phase"], ["tone"]),
        helper.make_node("ReduceMean", ["style"], ["loudness"], keepdims=0),
        helper.make_node("Mul", ["tone", "loudness"], ["audio"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "n"]),
            helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, 256]),
            helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["samples"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def install_tiny_kokoro(data_dir: Path, *, voices: Sequence[str] = VOICES) -> None:
    """Pulls the tiny model into the model store of a data folder, in place of the voices."""
    source = data_dir / "source"
    (source / VOICES_FOLDER).mkdir(parents=True)
    (source / MODEL_FILE).write_bytes(tiny_kokoro())
    (source / VOCABULARY_FILE).write_text(json.dumps({"vocab": VOCABULARY}), "utf-8")
    loudness = np.linspace(0.1, 0.9, MAX_SYMBOLS, dtype="<f4")
    for voice in voices:
        (source / VOICES_FOLDER / f"{voice}.bin").write_bytes(loudness.repeat(256).tobytes())
    entry = [
        f"[models.{MODEL_NAME}]",
        'description = "tiny"',
        'licence = "CC0-1.0"',
        f'source = {{ kind = "file", folder = "{source}" }}',
    ]
    for path in sorted(each for each in source.rglob("*") if each.is_file()):
        content = path.read_bytes()
        entry += [
            f"[[models.{MODEL_NAME}.files]]",
            f'name = "{path.relative_to(source).as_posix()}"',
            f'sha256 = "{hashlib.sha256(content).hexdigest()}"',
            f"size_bytes = {len(content)}",
        ]
    store = data_dir / "models"
    store.mkdir(parents=True, exist_ok=True)
    (store / OWN_REGISTRY).write_text("\n".join(entry), "utf-8")
    ModelStore(store).pull(MODEL_NAME)
