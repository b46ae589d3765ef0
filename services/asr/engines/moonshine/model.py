"""Moonshine: an encoder over raw samples and a decoder that writes text id by id.

Jeffries et al., 2024, "Moonshine: Speech Recognition for Live Transcription and Voice Commands".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import DECODER_RATE_HZ
from services.asr.engines.moonshine.decoded import Decoded
from services.asr.engines.moonshine.tokenizer import END_ID, START_ID, Vocabulary
from services.runtime.onnx import onnxruntime

ENCODER_FILE: Final = "encoder_model.ort"
DECODER_FILE: Final = "decoder_model_merged.ort"
VOCABULARY_FILE: Final = "tokenizer.bin"

_PAST: Final = "past_key_values."
_PRESENT: Final = "present."
_ENCODER_PART: Final = ".encoder."
# Without a cap, audio that was cut off within a clause can make the decoder repeat it endlessly.
_IDS_PER_SECOND: Final = 7
_IDS_BESIDES: Final = 8
# A first word that begins with the first sample is misheard. Zeros after the speech lowered the
# word error rate of four flite voices from 22 to 14 % and changed nothing for people.
_ZEROS_AROUND: Final = 3 * DECODER_RATE_HZ // 10


class MoonshineModel:
    """The model in memory. It is used by several threads at the same time, one core each.

    Args:
        folder: The files of the model.

    Raises:
        Exception: The files cannot be loaded; onnxruntime has no common base class for its errors.
    """

    def __init__(self, folder: Path) -> None:
        self._encoder = _session(folder / ENCODER_FILE)
        self._decoder = _session(folder / DECODER_FILE)
        self._vocabulary = Vocabulary(folder / VOCABULARY_FILE)
        inputs = {each.name: each.shape for each in self._decoder.get_inputs()}
        self._empty = {
            name: np.zeros((1, int(shape[1]), 0, int(shape[3])), np.float32)
            for name, shape in inputs.items()
            if name.startswith(_PAST)
        }
        if not self._empty:
            raise ValueError(f"{folder / DECODER_FILE} takes no {_PAST}*: it is another model")
        presents = {name: name.replace(_PAST, _PRESENT) for name in self._empty}
        self._first_outputs = ["logits", *presents.values()]
        # What a later step returns for the encoder's part is not usable.
        self._next_outputs = [name for name in self._first_outputs if _ENCODER_PART not in name]

    def decode(self, samples: NDArray[np.float32], stopped: Callable[[], bool]) -> Decoded | None:
        """Writes the text of speech: at each step the most probable id.

        Args:
            samples: Mono at 16 kHz, -1 to 1, shape [samples].
            stopped: Asked before every id; True ends the work.

        Returns:
            The text; None if it was stopped.
        """
        audio = np.pad(samples, _ZEROS_AROUND)[None]
        mask = np.ones(audio.shape, np.int64)
        if stopped():
            return None
        (states,) = self._encoder.run(None, {"input_values": audio, "attention_mask": mask})
        feeds: dict[str, NDArray[Any]] = {
            "encoder_hidden_states": states,
            "encoder_attention_mask": mask,
            **self._empty,
        }
        most = len(samples) * _IDS_PER_SECOND // DECODER_RATE_HZ + _IDS_BESIDES
        ids: list[int] = []
        total = 0.0
        chosen = START_ID
        while len(ids) < most:
            if stopped():
                return None
            chosen, log_probability = self._step(chosen, feeds, first=not ids)
            total += log_probability
            ids.append(chosen)
            if chosen == END_ID:
                break
        return Decoded(
            text=self._vocabulary.text(ids),
            log_probability=total / len(ids),
            finished=chosen == END_ID,
        )

    def _step(
        self, last_id: int, feeds: dict[str, NDArray[Any]], *, first: bool
    ) -> tuple[int, float]:
        """Returns the next id and the logarithm of its probability; puts the pasts into `feeds`."""
        feeds["input_ids"] = np.array([[last_id]], np.int64)
        feeds["use_cache_branch"] = np.array([not first])
        names = self._first_outputs if first else self._next_outputs
        logits, *presents = self._decoder.run(names, feeds)
        for name, present in zip(names[1:], presents, strict=True):
            feeds[name.replace(_PRESENT, _PAST)] = present
        last = logits[0, -1]
        best = int(last.argmax())
        return best, -float(np.log(np.exp(last - last[best]).sum()))


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
