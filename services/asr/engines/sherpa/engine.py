"""The engine `sherpa`: SenseVoice, streaming Paraformer and streaming Zipformer by sherpa-onnx.

The model is a folder of the operator, as the releases of sherpa-onnx are unpacked.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import itertools
import json
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from services.asr.engine import DecoderConfig, SegmentDecoder
from services.asr.engines.sherpa.decoders import LiveDecoder, WholeDecoder
from services.asr.engines.sherpa.folder import Files, Kind, files_of
from services.asr.processes.process import DecoderProcess
from services.asr.settings import AsrSettings
from services.runtime.config.settings import SettingsError
from services.runtime.engine import EngineInfo
from services.runtime.engine_options import EngineOptions, Texts
from services.runtime.errors import Busy, FailedPrecondition, Unavailable
from services.runtime.observing.logs import get_logger

WORKER: Final = Path(__file__).with_name("worker.py")
_OF_SENSE_VOICE: Final = ("zh", "en", "ja", "ko", "yue")
_OF_OTHERS: Final = ("zh", "en")


class SherpaOptions(EngineOptions):
    """The settings that the engine `sherpa` reads from `ANIMA_ASR_*`."""

    sherpa_model: str = ""
    """The folder of a model of sherpa-onnx: SenseVoice (`model*.onnx`), a streaming Paraformer
    (`encoder*.onnx`, `decoder*.onnx`) or a streaming Zipformer (`joiner*.onnx` too), with its
    `tokens.txt`."""
    sherpa_languages: Texts = ()
    """BCP-47 tags of the languages that it understands, the default first, separated by "|"; empty:
    those of SenseVoice, otherwise Chinese and English."""
    sherpa_threads: int = Field(default=1, ge=1, le=64)
    """CPU threads of one step."""
    sherpa_itn: bool = True
    """Whether SenseVoice writes numbers as digits, and punctuation."""


class SherpaEngine:
    """A `services.asr.engine.AsrEngine` with one process for all streams."""

    options_type: ClassVar = SherpaOptions

    def __init__(self, settings: AsrSettings) -> None:
        self._options = SherpaOptions.read(settings)
        self._capacity = settings.capacity
        self._open_decoders = 0
        self._numbers = itertools.cycle(range(2**32))
        self._files: Files | None = None
        self._process: DecoderProcess | None = None
        self._starting = asyncio.Lock()

    async def open(self) -> None:
        """Starts the process, which loads the model.

        Raises:
            FailedPrecondition: The package is missing; the text has the command.
            SettingsError: The folder holds no such model, or one that cannot be loaded.
        """
        if find_spec("sherpa_onnx") is None:
            raise FailedPrecondition(
                "the engine sherpa needs a package that is not installed; "
                "run: pip install 'anima[sherpa]'",
                reason="PACKAGE_MISSING",
            )
        self._files = await asyncio.to_thread(_files, self._options.sherpa_model)
        try:
            self._process = await self._start(self._files)
        except Unavailable as error:
            raise SettingsError(
                f"ANIMA_ASR_SHERPA_MODEL: {self._options.sherpa_model} cannot be loaded as a "
                f"{self._files.kind} model; the log has the reason of sherpa-onnx"
            ) from error

    def describe(self) -> EngineInfo:
        """Returns the engine's name, version and languages."""
        return EngineInfo(
            name="sherpa",
            version=importlib.metadata.version("sherpa-onnx") + f" ({self._opened().kind})",
            licence="Apache-2.0 AND LicenseRef-model-of-the-operator",
            languages=self._languages,
        )

    async def open_decoder(self, config: DecoderConfig) -> SegmentDecoder:
        """Opens a decoder; phrase hints are ignored.

        Raises:
            Busy: All decoders are in use.
            Unavailable: The process has ended and does not start again.
        """
        del config
        if self._open_decoders >= self._capacity:
            raise Busy(f"all {self._capacity} decoders are in use", retry_after_ms=1000)
        process = await self._running()
        self._open_decoders += 1
        if not self._opened().kind.streaming:
            return WholeDecoder(process, languages=self._languages, on_close=self._closed)
        return LiveDecoder(
            process,
            number=next(self._numbers),
            languages=self._languages,
            on_close=self._closed,
        )

    async def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            await self._process.close()

    @property
    def _languages(self) -> tuple[str, ...]:
        sense_voice = self._opened().kind is Kind.SENSE_VOICE
        return self._options.sherpa_languages or (_OF_SENSE_VOICE if sense_voice else _OF_OTHERS)

    def _opened(self) -> Files:
        if self._files is None:
            raise RuntimeError("the engine is not open")
        return self._files

    def _closed(self) -> None:
        self._open_decoders -= 1

    async def _running(self) -> DecoderProcess:
        """Returns the process, or another one if it has ended."""
        async with self._starting:
            process = self._process
            if process is None or not process.alive:
                get_logger().warning("the process of sherpa-onnx has ended; it is started again")
                if process is not None:
                    await process.close()
                process = self._process = await self._start(self._opened())
            return process

    async def _start(self, files: Files) -> DecoderProcess:
        given = {
            "kind": files.kind.value,
            "paths": files.paths,
            "threads": self._options.sherpa_threads,
            "itn": self._options.sherpa_itn,
        }
        return await DecoderProcess.start(WORKER, json.dumps(given))


def _files(folder: str) -> Files:
    if not folder:
        raise SettingsError("ANIMA_ASR_SHERPA_MODEL: must name the folder of a model")
    try:
        return files_of(Path(folder).expanduser())
    except ValueError as error:
        raise SettingsError(f"ANIMA_ASR_SHERPA_MODEL: {error}") from None
