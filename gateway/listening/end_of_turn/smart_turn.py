"""The end of a turn by its sound: Pipecat's smart-turn v3, an ONNX model over the last 8 s.

The model (BSD-2-Clause, 8 M parameters) estimates from melody, pace and words how likely it is that
the speaker has finished; the words have the second vote. It is not part of Anima:
`ANIMA_GATEWAY_SMART_TURN_MODEL` names a folder with it. Without it, the words decide alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from gateway.listening.end_of_turn.log_mel import BANDS, HOP_SAMPLES, RATE_HZ, log_mel
from gateway.listening.end_of_turn.rule import EndOfTurnRule, Words
from gateway.listening.end_of_turn.words import (
    COMPLETE_MS,
    UNFINISHED_MS,
    UNSURE_MS,
    EndOfTurn,
    Pause,
    TextAndPause,
    is_complete,
    is_unfinished,
)
from gateway.settings import GatewaySettings
from services.runtime.config.settings import SettingsError
from services.runtime.models.loading import is_out_of_memory
from services.runtime.observing.logs import get_logger
from services.runtime.onnx import onnxruntime
from services.runtime.process.compute import Compute

WINDOW_S = 8
_INPUT = "input_features"
_FINISHED_FROM = 0.5
_VARIANCE_FLOOR = 1e-7


class SmartTurnModel:
    """The model in memory; used by all sessions.

    Args:
        path: The ONNX file.

    Raises:
        SettingsError: The file is not a smart-turn model of version 3.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has no common base class for its errors
            short = "there is not enough memory for it: " if is_out_of_memory(error) else ""
            raise SettingsError(
                f"ANIMA_GATEWAY_SMART_TURN_MODEL: {path}: {short}{error}"
            ) from error
        frames = WINDOW_S * RATE_HZ // HOP_SAMPLES
        inputs = [(each.name, each.shape[1:]) for each in self._session.get_inputs()]
        if inputs != [(_INPUT, [BANDS, frames])]:
            raise SettingsError(
                f"ANIMA_GATEWAY_SMART_TURN_MODEL: {path} takes {inputs}, not {_INPUT} of "
                f"[batch, {BANDS}, {frames}]: it is not a smart-turn model of version 3"
            )

    def finished(self, samples: NDArray[np.int16], sample_rate_hz: int) -> float:
        """Returns the probability that the speaker has finished, 0 to 1; takes about 30 ms.

        Args:
            samples: Mono audio of the turn with a part of the pause; only the last 8 s are used.
            sample_rate_hz: Its rate.
        """
        features = log_mel(prepared(samples, sample_rate_hz))[None]
        return float(np.ravel(self._session.run(None, {_INPUT: features})[0])[0])


def prepared(samples: NDArray[np.int16], sample_rate_hz: int) -> NDArray[np.float32]:
    """Returns the last 8 s at 16 kHz in the form on which the model was trained.

    Shorter audio is padded with silence before the speech; the result has mean 0 and variance 1.
    """
    audio = samples.astype(np.float32) / 32768
    if sample_rate_hz != RATE_HZ:
        audio = soxr.resample(audio, sample_rate_hz, RATE_HZ)
    audio = audio[-WINDOW_S * RATE_HZ :]
    audio = np.pad(audio, (WINDOW_S * RATE_HZ - len(audio), 0))
    whole: NDArray[np.float32] = (audio - audio.mean()) / np.sqrt(audio.var() + _VARIANCE_FLOOR)
    return whole


class SmartTurn:
    """The rule: the sound first, the words second."""

    def __init__(self, model: SmartTurnModel) -> None:
        self._model = model
        self._compute = Compute(threads=1, name="smart-turn")

    def for_session(self) -> EndOfTurn:
        """Returns the decider for one session."""
        return SoundAndWords(self._model, self._compute)

    def close(self) -> None:
        """Stops the thread of the model."""
        self._compute.close()


class SoundAndWords:
    """Decides for one session by the sound of its turns and by their last words."""

    def __init__(self, model: SmartTurnModel, compute: Compute) -> None:
        self._model = model
        self._compute = compute
        self._words = TextAndPause()

    async def silence_ms(self, pause: Pause) -> int:
        """Returns the silence that ends the utterance, ms."""
        samples = np.frombuffer(pause.audio(WINDOW_S), "<i2")
        if not samples.size:
            return await self._words.silence_ms(pause)
        likely = await self._compute.run(self._model.finished, samples, pause.sample_rate_hz)
        if likely >= _FINISHED_FROM:
            silence_ms = UNSURE_MS if is_unfinished(pause.text, pause.language) else COMPLETE_MS
        else:
            silence_ms = UNSURE_MS if is_complete(pause.text, pause.language) else UNFINISHED_MS
        return min(silence_ms + self._words.patience_ms, UNFINISHED_MS)

    def went_on(self) -> None:
        """Waits longer from now on."""
        self._words.went_on()


def smart_turn(settings: GatewaySettings) -> EndOfTurnRule:
    """Returns the rule, or the words rule if no model is installed.

    Raises:
        SettingsError: The file is not a smart-turn model of version 3.
    """
    path = _model_file(settings.smart_turn_model)
    if path is None:
        get_logger().warning(
            "smart-turn is not installed: the words alone decide the end of a turn; put "
            "smart-turn-v3.2-cpu.onnx into a folder and name it in ANIMA_GATEWAY_SMART_TURN_MODEL",
            smart_turn_model=settings.smart_turn_model,
        )
        return Words(settings)
    return SmartTurn(SmartTurnModel(path))


def _model_file(named: str) -> Path | None:
    """Returns the model file: the named file, or the last one by name in the named folder."""
    path = Path(named)
    if not named or path.is_file():
        return path if named else None
    return max(path.glob("*.onnx"), default=None) if path.is_dir() else None
