"""Moonshine: an encoder over raw samples and a decoder that writes text id by id.

Jeffries et al., 2024, "Moonshine: Speech Recognition for Live Transcription and Voice Commands".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import DECODER_RATE_HZ
from services.asr.engines.moonshine.decoded import Decoded, DecodedWord
from services.asr.engines.moonshine.hot_words import HotWords
from services.asr.engines.moonshine.tokenizer import Vocabulary
from services.asr.engines.moonshine.writer import DecoderNetwork, Line, Writer
from services.runtime.onnx import onnxruntime

ENCODER_FILE: Final = "encoder_model.ort"
DECODER_FILE: Final = "decoder_model_merged.ort"
VOCABULARY_FILE: Final = "tokenizer.bin"

# Without a cap, audio that was cut off within a clause can make the decoder repeat it endlessly.
_IDS_PER_SECOND: Final = 7
_IDS_BESIDES: Final = 8
_KEPT_PHRASES: Final = 4096
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
        self._decoder = DecoderNetwork(_session(folder / DECODER_FILE))
        self._vocabulary = Vocabulary(folder / VOCABULARY_FILE)
        self._ids_of = lru_cache(maxsize=_KEPT_PHRASES)(self._vocabulary.ids)

    def hot_words(self, phrases: Sequence[str]) -> HotWords | None:
        """Returns phrases in the form that `decode` takes; None if there are none."""
        spelt = [ids for phrase in phrases if (ids := self._ids_of(phrase))]
        return HotWords(spelt, self._vocabulary) if spelt else None

    def decode(
        self,
        samples: NDArray[np.float32],
        stopped: Callable[[], bool],
        hot_words: HotWords | None = None,
    ) -> Decoded | None:
        """Writes the text of speech: at each step the most probable id.

        Args:
            samples: Mono at 16 kHz, -1 to 1, shape [samples].
            stopped: Asked before every id; True ends the work.
            hot_words: Phrases that are preferred to what sounds almost the same.

        Returns:
            The text; None if it was stopped.
        """
        audio = np.pad(samples, _ZEROS_AROUND)[None]
        mask = np.ones(audio.shape, np.int64)
        if stopped():
            return None
        (states,) = self._encoder.run(None, {"input_values": audio, "attention_mask": mask})
        writer = Writer(
            self._decoder,
            states=states,
            mask=mask,
            most_ids=len(samples) * _IDS_PER_SECOND // DECODER_RATE_HZ + _IDS_BESIDES,
            stopped=stopped,
        )
        line = writer.finish(Line(), watched=hot_words.first_ids if hot_words else ())
        if line is not None and hot_words is not None and line.finished:
            line = hot_words.prefer(line, writer)
        if line is None:
            return None
        return Decoded(
            words=self._words(line),
            log_probability=float(np.mean(line.log_probabilities)),
            finished=line.finished,
        )

    def _words(self, line: Line) -> tuple[DecodedWord, ...]:
        words = []
        for text, first, end in self._vocabulary.words(line.ids):
            spelt = [
                log_probability
                for one, log_probability in zip(
                    line.ids[first:end], line.log_probabilities[first:end], strict=True
                )
                if any(map(str.isalnum, self._vocabulary.text([one])))
            ]
            rated = spelt or line.log_probabilities[first:end]
            words.append(DecodedWord(text=text, log_probability=float(np.mean(rated))))
        return tuple(words)


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
