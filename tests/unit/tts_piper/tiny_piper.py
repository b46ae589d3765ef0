"""A voice in Piper's format with random weights: its inputs, outputs and inner names.

Each symbol has a random duration of 1 to 6 frames of 256 samples, a speaker its own pitch; the
sound is a tone with noise.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FRAME_SAMPLES = 256
SAMPLE_RATE_HZ = 22_050
DURATIONS = "/Ceil_output_0"
# The first of Piper's symbols are these (phoneme_ids of piper-phonemize).
_SYMBOLS = (
    "_^$ !'(),-.:;?abcdefghijklmnopqrstuvwxyzæçðøħŋœǀǁǂǃɐɑɒɓɔɕɖɗɘəɚɛɜɞɟɠɡɢɣɤɥɦɧɨɪɫɬɭɮɯɰɱɲɳɴɵɶɸɹɺɻɽɾ"
    "ʀʁʂʃʄʈʉʊʋʌʍʎʏʐʑʒʔʕʘʙʛʜʝʟʡʢʲˈˌːˑ˞βθχᵻⱱ\u0303\u0329\u032f"
)
IDS = {symbol: [number] for number, symbol in enumerate(_SYMBOLS)}
LENGTHS = np.random.default_rng(7).uniform(0.1, 6, len(IDS)).astype(np.float32)


def frames_of(symbols: str, *, length_scale: float = 1.0) -> int:
    """Returns the frames of symbols with the pad behind each."""
    ids = [each for symbol in symbols for each in (*IDS[symbol], *IDS["_"])]
    return int(np.ceil(LENGTHS[ids] * np.float32(length_scale)).sum())


def tiny_piper(*, speakers: int = 1, frame_samples: float = FRAME_SAMPLES) -> onnx.ModelProto:
    """Returns the model; with other `frame_samples` one whose durations do not fit its sound."""
    constants: dict[str, NDArray[Any]] = {
        "lengths": LENGTHS,
        "pitches": np.linspace(0.05, 0.2, max(speakers, 2), dtype=np.float32),
        "first": np.array(0, np.int64),
        "second": np.array(1, np.int64),
        "axis": np.array([1], np.int64),
        "outer": np.array([0, 1, 2], np.int64),
        "frame": np.array(frame_samples, np.float32),
        "start": np.array(0.0, np.float32),
        "step": np.array(1.0, np.float32),
        "quiet": np.array(0.01, np.float32),
        "half": np.array(0.5, np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["scales", "first"], ["noise_scale"]),
        helper.make_node("Gather", ["scales", "second"], ["length_scale"]),
        helper.make_node("Gather", ["lengths", "input"], ["predicted"]),
        helper.make_node("Unsqueeze", ["predicted", "axis"], ["w"]),
        helper.make_node("Mul", ["w", "length_scale"], ["scaled"]),
        helper.make_node("Ceil", ["scaled"], [DURATIONS]),
        helper.make_node("ReduceSum", [DURATIONS], ["frames"], keepdims=0),
        helper.make_node("Mul", ["frames", "frame"], ["length"]),
        helper.make_node("Range", ["start", "length", "step"], ["clock"]),
        helper.make_node("Gather", ["pitches", "sid" if speakers > 1 else "first"], ["pitch"]),
        helper.make_node("Mul", ["clock", "pitch"], ["phase"]),
        helper.make_node("Sin", ["phase"], ["tone"]),
        helper.make_node("Mul", ["tone", "half"], ["voiced"]),
        helper.make_node("RandomNormalLike", ["voiced"], ["random"]),
        helper.make_node("Mul", ["random", "noise_scale"], ["noise"]),
        helper.make_node("Mul", ["noise", "quiet"], ["breath"]),
        helper.make_node("Add", ["voiced", "breath"], ["sound"]),
        helper.make_node("Unsqueeze", ["sound", "outer"], ["output"]),
    ]
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, [1, "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    if speakers > 1:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, [1]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        inputs,
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "samples"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def description(**changes: object) -> dict[str, object]:
    """Returns the description of the voice, with some fields changed."""
    return {
        "audio": {"sample_rate": SAMPLE_RATE_HZ, "quality": "medium"},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_map": {},
        "phoneme_id_map": IDS,
        "num_symbols": len(IDS),
        "num_speakers": 1,
        "speaker_id_map": {},
        "language": {"code": "en_US", "family": "en", "region": "US"},
        "dataset": "tiny",
        **changes,
    }


def install(folder: Path, name: str, model: onnx.ModelProto | None = None, **changes: Any) -> None:
    """Writes a voice into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model = model or tiny_piper()
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    (folder / f"{name}.onnx.json").write_text(json.dumps(description(**changes)), "utf-8")
