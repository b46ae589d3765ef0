"""The engine `moonshine`: decodes whole segments in a bounded pool of threads.

It understands English. All streams share one model in memory. Each decoding takes one thread, and
complete segments go before partial results.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from services.asr.engine import DECODER_RATE_HZ, DecoderConfig
from services.asr.engines.moonshine.decoder import Job, MoonshineDecoder
from services.asr.settings import AsrSettings
from services.runtime.engine import EngineInfo
from services.runtime.models.loading import load_fault
from services.runtime.models.store import ModelStore
from services.runtime.process.compute import Compute

if TYPE_CHECKING:
    from services.asr.engines.moonshine.model import MoonshineModel

MODEL: Final = "moonshine-tiny-en"


class MoonshineEngine:
    """A `services.asr.engine.AsrEngine` whose decoders share one model."""

    def __init__(self, settings: AsrSettings) -> None:
        self._models = settings.data_dir / "models"
        threads = min(settings.capacity, len(os.sched_getaffinity(0)))
        self._compute = Compute(threads=threads, name="asr-moonshine")
        self._urgent: set[Job] = set()
        self._model: MoonshineModel | None = None

    async def open(self) -> None:
        """Loads the model, and decodes a second of silence to reserve memory.

        Raises:
            FailedPrecondition: The model is not installed; the text names the command.
            SettingsError: Its files are damaged, or memory is short.
        """
        self._model = await self._compute.run(_loaded, self._models)

    def describe(self) -> EngineInfo:
        """Returns the engine's name, version, licence and languages."""
        return EngineInfo(name="moonshine", version="tiny-en", licence="MIT", languages=("en",))

    async def open_decoder(self, config: DecoderConfig) -> MoonshineDecoder:
        """Opens a decoder, which takes hardly any memory."""
        if self._model is None:
            raise RuntimeError("the engine is not open")
        return MoonshineDecoder(
            self._model,
            compute=self._compute,
            urgent=self._urgent,
            phrases=config.phrase_hints,
        )

    async def close(self) -> None:
        """Stops the threads."""
        self._compute.close()


def _loaded(models: Path) -> MoonshineModel:
    from services.asr.engines.moonshine.model import MoonshineModel  # loads onnxruntime

    folder = ModelStore(models).path(MODEL)
    try:
        model = MoonshineModel(folder)
    except Exception as error:  # onnxruntime has no common base class for its errors
        raise load_fault(MODEL, folder, error) from error
    model.decode(np.zeros(DECODER_RATE_HZ, np.float32), lambda: False)
    return model
