"""The embedded recogniser: pocketsphinx with its English model.

It understands English only and needs no download: the model is in its wheel. Each decoder runs in
a process of its own (see `worker.py`), and each stream uses one decoder.
"""

import importlib.metadata
from typing import ClassVar

from pydantic import Field

from services.asr.engine import DecoderConfig
from services.asr.engines.pocketsphinx.decoder import PocketsphinxDecoder
from services.asr.engines.pocketsphinx.pool import DecoderPool
from services.asr.settings import AsrSettings
from services.runtime.engine import EngineInfo
from services.runtime.engine_options import EngineOptions


class PocketsphinxOptions(EngineOptions):
    """The settings that the engine `pocketsphinx` reads from `ANIMA_ASR_*`."""

    warm_decoders: int = Field(default=1, ge=1, le=10_000)
    """How many decoders are loaded at start. Each takes 145 MB and half a second to load; further
    decoders are loaded when more streams are open at the same time."""


class PocketsphinxEngine:
    """A `services.asr.engine.AsrEngine` whose decoders follow speech while it is spoken."""

    options_type: ClassVar = PocketsphinxOptions

    def __init__(self, settings: AsrSettings) -> None:
        warm_decoders = PocketsphinxOptions.read(settings).warm_decoders
        self._warm_decoders = min(warm_decoders, settings.capacity)
        self._pool = DecoderPool(settings.capacity)

    async def open(self) -> None:
        """Loads the first decoders."""
        await self._pool.warm_up(self._warm_decoders)

    def describe(self) -> EngineInfo:
        """Returns the engine's name, version, licence and languages."""
        return EngineInfo(
            name="pocketsphinx",
            version=importlib.metadata.version("pocketsphinx"),
            licence="BSD-2-Clause AND MIT",
            languages=("en",),
        )

    async def open_decoder(self, config: DecoderConfig) -> PocketsphinxDecoder:
        """Opens a decoder; loads another one (half a second) when all are in use."""
        process = await self._pool.borrow()
        return PocketsphinxDecoder(process, on_close=lambda: self._pool.give_back(process))

    async def close(self) -> None:
        """Stops the decoder processes."""
        await self._pool.close()
