"""Kokoro-82M in onnxruntime: symbols in, sound and the exact duration of each symbol out.

Kokoro is StyleTTS 2 (Li et al., 2023, arXiv:2306.07691) with an iSTFTNet decoder. The published
graph predicts for each symbol a whole number of frames, of 600 samples each, and does not return
them; here they are a second output.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.runtime.models.loading import load_fault

MODEL_NAME: Final = "voices"
MODEL_FILE: Final = "kokoro.onnx"
VOCABULARY_FILE: Final = "vocab.json"
VOICES_FOLDER: Final = "voices"

SAMPLE_RATE_HZ: Final = 24_000
FRAME_SAMPLES: Final = 600
MAX_SYMBOLS: Final = 510
_STYLE_SIZE: Final = 256
_EDGE: Final = 0
"""The symbol at both ends: the silence before and after the speech."""
_FRAMES: Final = "/encoder/Clip_output_0"
_KEPT_STYLES: Final = 8


@dataclass(frozen=True)
class Utterance:
    """What the model has spoken.

    Attributes:
        samples: float32 [sum(frames) * 600], -1 to 1.
        frames: int64 [symbols + 2]: frames of the silence before, of each symbol, and after.
    """

    samples: NDArray[np.float32]
    frames: NDArray[np.int64]


class KokoroModel:
    """The model and its voices; `speak` may be called from several threads.

    Args:
        folder: The pulled model.
        threads: For one call.

    Raises:
        SettingsError: The files cannot be loaded.
    """

    def __init__(self, folder: Path, *, threads: int) -> None:
        self.threads = threads
        try:
            vocabulary = json.loads((folder / VOCABULARY_FILE).read_text("utf-8"))
            self._vocabulary: dict[str, int] = vocabulary["vocab"]
            graph = (folder / MODEL_FILE).read_bytes()
            self.sha256 = hashlib.sha256(graph).hexdigest()
            self._session = _session(with_output(graph, _FRAMES), threads)
        except Exception as error:
            raise load_fault(MODEL_NAME, folder, error) from error
        self._voices = folder / VOICES_FOLDER
        self._style = lru_cache(maxsize=_KEPT_STYLES)(self._read_style)

    def known(self, symbols: str) -> str:
        """Returns the symbols without those that the model does not know."""
        return "".join(symbol for symbol in symbols if symbol in self._vocabulary)

    def speak(self, symbols: str, *, voice: str, speed: float) -> Utterance:
        """Speaks.

        Args:
            symbols: 1 to 510 known ones.
            voice: The name of a voice file, without its ending.
            speed: 1 is the voice's own.

        Raises:
            RuntimeError: The model is not one whose durations are known.
        """
        ids = [_EDGE, *(self._vocabulary[symbol] for symbol in symbols), _EDGE]
        styles = self._style(voice)
        samples, frames = self._session.run(
            ["audio", _FRAMES],
            {
                "tokens": np.array([ids], np.int64),
                "style": styles[min(len(symbols), len(styles) - 1)][np.newaxis],
                "speed": np.array([speed], np.float32),
            },
        )
        spoken = Utterance(
            samples=np.asarray(samples, np.float32).reshape(-1),
            frames=np.rint(frames).astype(np.int64).reshape(-1),
        )
        if len(spoken.samples) != spoken.frames.sum() * FRAME_SAMPLES:
            raise RuntimeError(
                f"the model has spoken {len(spoken.samples)} samples, "
                f"not {spoken.frames.sum()} frames of {FRAME_SAMPLES}"
            )
        return spoken

    def _read_style(self, voice: str) -> NDArray[np.float32]:
        """Returns the style vectors of a voice by the number of symbols: float32 [510, 256]."""
        return np.fromfile(self._voices / f"{voice}.bin", "<f4").reshape(-1, _STYLE_SIZE)


def _session(graph: bytes, threads: int) -> Any:
    from services.runtime.onnx import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads would take the cores on which the face is drawn.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def with_output(graph: bytes, name: str) -> bytes:
    """Returns an ONNX file with one more output: a tensor that the graph computes anyway.

    In protobuf, files joined end to end are one message in which repeated fields are joined. So the
    output is added as a second ModelProto behind the first, with no need to decode 92 MB.

    Args:
        graph: A serialised ModelProto.
        name: The tensor, at most 100 characters.
    """
    value_info = _field(1, name.encode())  # ValueInfoProto.name
    return graph + _field(7, _field(12, value_info))  # ModelProto.graph, GraphProto.output


def _field(number: int, content: bytes) -> bytes:
    """Encodes a short length-delimited field of protobuf."""
    return bytes([number << 3 | 2, len(content)]) + content
