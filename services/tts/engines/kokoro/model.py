"""Kokoro-82M in onnxruntime: symbols in, sound and the exact duration of each symbol out.

Kokoro is StyleTTS 2 (Li et al., 2023, arXiv:2306.07691) with an iSTFTNet decoder. The published
graph predicts for each symbol a whole number of frames, of 600 samples each, and does not return
them; here they are a second output.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.runtime.models.loading import load_fault
from services.tts.neural.clause import Utterance
from services.tts.neural.session import Session

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
            with (folder / MODEL_FILE).open("rb") as file:
                self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            self._session = Session(folder / MODEL_FILE, threads=threads, more_output=_FRAMES)
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
            frame_samples=FRAME_SAMPLES,
            sample_rate_hz=SAMPLE_RATE_HZ,
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
