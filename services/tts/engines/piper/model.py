"""A voice of Piper in onnxruntime: symbols in, sound and the exact duration of each symbol out.

Piper's voices are VITS (Kim et al., 2021, arXiv:2106.06103). The graph rounds the predicted
duration of each symbol up to whole frames, of 256 samples, and does not return it: here that tensor
is a second output.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from services.runtime.config.settings import SettingsError
from services.tts.engines.piper.files import BEGIN, END, PAD, Description
from services.tts.neural.clause import Utterance
from services.tts.neural.session import Session

_ROUNDING: Final = "Ceil"


class PiperModel:
    """A loaded model; `speak` may be called from several threads.

    Args:
        path: The file of the model.
        description: What belongs to it.
        threads: For one call.

    Raises:
        SettingsError: It cannot be loaded, or does not say how long its symbols are.
    """

    def __init__(self, path: Path, description: Description, *, threads: int) -> None:
        self._ids = description.phoneme_id_map
        self._inference = description.inference
        self._sample_rate_hz = description.audio.sample_rate
        self._durations, self._session = _load(path, threads)

    def speak(self, symbols: str, *, speed: float, speaker: int | None) -> Utterance:
        """Speaks; the sound of the same symbols differs a little each time.

        Args:
            symbols: At least one; each is in the description.
            speed: 1 is the voice's own.
            speaker: The id of the speaker; None: the model has only one.

        Raises:
            RuntimeError: The durations do not fit the sound.
        """
        pad = self._ids[PAD]
        groups = [self._ids[BEGIN] + pad, *(self._ids[symbol] + pad for symbol in symbols)]
        groups.append(self._ids[END])
        ids = [each for group in groups for each in group]
        scales = self._inference
        inputs: dict[str, Any] = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(
                [scales.noise_scale, scales.length_scale / speed, scales.noise_w], np.float32
            ),
        }
        if speaker is not None:
            inputs["sid"] = np.array([speaker], np.int64)
        sound, durations = self._session.run(["output", self._durations], inputs)
        samples = np.asarray(sound, np.float32).reshape(-1)
        each = np.rint(durations).astype(np.int64).reshape(-1)
        total = int(each.sum())
        if len(each) != len(ids) or not total or len(samples) % total:
            raise RuntimeError(
                f"the model has spoken {len(samples)} samples in {total} frames of "
                f"{len(each)} symbols, not of {len(ids)}"
            )
        starts = np.cumsum([0, *(len(group) for group in groups[:-1])])
        return Utterance(
            samples=np.clip(samples, -1.0, 1.0),
            frames=np.add.reduceat(each, starts),
            frame_samples=len(samples) // total,
            sample_rate_hz=self._sample_rate_hz,
        )


def _load(path: Path, threads: int) -> tuple[str, Session]:
    """Returns the name of the durations, and a session that returns them."""
    import onnx

    try:
        model = onnx.load_model(path, load_external_data=False)
        rounded = [node.output[0] for node in model.graph.node if node.op_type == _ROUNDING]
        outputs = {output.name for output in model.graph.output}
        del model
        if len(rounded) != 1 or "output" not in outputs:
            raise ValueError("it is not a voice of Piper: the durations of its symbols are unknown")
        (durations,) = rounded
        more = "" if durations in outputs else durations
        return durations, Session(path, threads=threads, more_output=more)
    except Exception as error:
        raise SettingsError(f"the voice {path} cannot be loaded: {error}") from error
