"""The engine `whisper`: OpenAI's Whisper in CTranslate2, without torch.

The model `whisper-base` comes from the model store; `ANIMA_ASR_WHISPER_MODEL` names a folder with
another one, of any size, in the format of CTranslate2.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from services.asr.choosing.whisper import MODEL
from services.asr.engine import DECODER_RATE_HZ, DecoderConfig
from services.asr.engines.whisper.batches import Batches
from services.asr.engines.whisper.decoder import WhisperDecoder
from services.asr.engines.whisper.model import WhisperModel
from services.asr.settings import AsrSettings
from services.runtime.config.settings import SettingsError
from services.runtime.engine import EngineInfo
from services.runtime.engine_options import EngineOptions
from services.runtime.errors import Busy, FailedPrecondition
from services.runtime.models.loading import load_fault
from services.runtime.models.store import ModelStore

_CPU_TYPE: Final = "int8"
_CUDA_TYPE: Final = "float16"


class WhisperOptions(EngineOptions):
    """The settings that the engines `whisper` and `auto` read from `ANIMA_ASR_*`."""

    whisper_model: str = ""
    """The folder of a Whisper model of any size in the format of CTranslate2, with its
    `tokenizer.json`; empty: the model `whisper-base` of the model store."""
    whisper_device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it runs; "auto": on a GPU if there is one."""
    whisper_compute_type: str = ""
    """Numbers of the computation, such as "int8", "int8_float16" or "float16"; empty: int8 on a
    CPU and float16 on a GPU."""
    whisper_threads: int = Field(default=1, ge=1, le=256)
    """CPU threads of one pass. More than one helps only if cores are idle."""
    whisper_workers: int = Field(default=2, ge=1, le=64)
    """Passes at the same time, so that a partial result does not delay a final one."""
    whisper_batch: int = Field(default=8, ge=1, le=256)
    """How many segments that wait at the same time are recognised together."""
    whisper_beam: int = Field(default=5, ge=1, le=20)
    """How many transcripts of a complete segment are followed at once."""


class WhisperEngine:
    """A `services.asr.engine.AsrEngine` whose decoders detect the language if asked to."""

    options_type: ClassVar = WhisperOptions

    def __init__(self, settings: AsrSettings) -> None:
        self._options = WhisperOptions.read(settings)
        self._data_dir = settings.data_dir
        self._capacity = settings.capacity
        self._open_decoders = 0
        self._batches: Batches | None = None
        self._languages: tuple[str, ...] = ()

    async def open(self) -> None:
        """Loads the model and decodes a second of silence.

        Raises:
            FailedPrecondition: The package or the model is missing; the text has the command.
            SettingsError: The model cannot be loaded, or runs neither on this device nor with
                these numbers.
        """
        self._batches = await asyncio.to_thread(self._load)
        silence = np.zeros(DECODER_RATE_HZ, np.int16)
        await self._decoder(self._languages[:1], on_close=lambda: None).decode(
            silence, partial=True
        )

    def describe(self) -> EngineInfo:
        """Returns the engine's name, version, licence and languages."""
        own = bool(self._options.whisper_model)
        return EngineInfo(
            name="whisper",
            version=importlib.metadata.version("ctranslate2") + f" ({self._model_name()})",
            licence="MIT AND LicenseRef-model-of-the-operator" if own else "MIT",
            languages=self._languages,
        )

    async def open_decoder(self, config: DecoderConfig) -> WhisperDecoder:
        """Opens a decoder, which detects the language if there are candidates.

        Raises:
            Busy: All decoders are in use.
        """
        if self._open_decoders >= self._capacity:
            raise Busy(f"all {self._capacity} decoders are in use", retry_after_ms=1000)
        self._open_decoders += 1
        return self._decoder(config.candidates or (config.language,), on_close=self._closed)

    async def close(self) -> None:
        """Ends the threads."""
        if self._batches is not None:
            await self._batches.close()

    def _decoder(
        self, languages: tuple[str, ...], *, on_close: Callable[[], None]
    ) -> WhisperDecoder:
        if self._batches is None:
            raise RuntimeError("the engine is not open")
        return WhisperDecoder(
            self._batches, languages=languages, beam=self._options.whisper_beam, on_close=on_close
        )

    def _closed(self) -> None:
        self._open_decoders -= 1

    def _model_name(self) -> str:
        return Path(self._options.whisper_model).name or MODEL

    def _load(self) -> Batches:
        options = self._options
        try:
            import ctranslate2
            import opencc  # noqa: F401 (the model needs it)
        except ImportError as error:
            raise FailedPrecondition(
                f"the engine whisper needs packages that are not installed ({error}); "
                "run: pip install 'anima[whisper]'",
                reason="PACKAGE_MISSING",
            ) from error
        device = options.whisper_device
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        compute_type = options.whisper_compute_type or (
            _CUDA_TYPE if device == "cuda" else _CPU_TYPE
        )
        _check_numbers(compute_type, device)
        folder = self._folder()
        try:
            model = WhisperModel(
                folder,
                device=device,
                compute_type=compute_type,
                threads=options.whisper_threads,
                workers=options.whisper_workers,
            )
        except Exception as error:
            raise load_fault(self._model_name(), folder, error) from error
        self._languages = model.languages
        return Batches(model, workers=options.whisper_workers, most=options.whisper_batch)

    def _folder(self) -> Path:
        if not self._options.whisper_model:
            return ModelStore(self._data_dir / "models").path(MODEL)
        folder = Path(self._options.whisper_model).expanduser()
        for name in ("model.bin", "tokenizer.json"):
            if not (folder / name).is_file():
                raise SettingsError(
                    f"ANIMA_ASR_WHISPER_MODEL: {folder} has no {name}; it must be the folder of a "
                    "Whisper model that ct2-transformers-converter has written"
                )
        return folder


def _check_numbers(compute_type: str, device: str) -> None:
    import ctranslate2

    known = sorted({"auto", "default", *ctranslate2.get_supported_compute_types(device)})
    if compute_type not in known:
        raise SettingsError(
            f"ANIMA_ASR_WHISPER_COMPUTE_TYPE: {compute_type!r} is not one of {', '.join(known)} "
            f"on {device}"
        )
