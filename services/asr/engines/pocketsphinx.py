"""The embedded recogniser: Silero voice activity and pocketsphinx with its English model.

It understands English only and needs no download: both models are in their wheels. One decoder is
a process (see `pocketsphinx_worker.py`); one stream has one decoder.
"""

import importlib.metadata

from services.asr.engine import RecognitionSession, SessionConfig
from services.asr.engines.pocketsphinx_decoder import DecoderPool
from services.asr.engines.pocketsphinx_segment import DecoderSpeed, FinalPassPolicy
from services.asr.engines.pocketsphinx_session import PocketsphinxSession
from services.asr.settings import AsrSettings
from services.runtime.compute import Compute
from services.runtime.engine import EngineInfo


class PocketsphinxEngine:
    """A `services.asr.engine.AsrEngine`."""

    def __init__(self, settings: AsrSettings) -> None:
        self._settings = settings
        self._pool = DecoderPool(settings.capacity)
        self._compute = Compute(threads=settings.capacity, name="asr-vad")
        self._speed = DecoderSpeed()

    def describe(self) -> EngineInfo:
        """Returns what the engine is."""
        return EngineInfo(
            name="pocketsphinx",
            version=importlib.metadata.version("pocketsphinx"),
            licence="BSD-2-Clause AND MIT",
            languages=("en",),
        )

    async def open(self) -> None:
        """Loads the first decoders."""
        await self._pool.warm_up(min(self._settings.warm_decoders, self._settings.capacity))

    async def open_session(self, config: SessionConfig) -> RecognitionSession:
        """Opens a stream; loads another decoder (half a second) when all are lent."""
        decoder = await self._pool.borrow()
        policy = FinalPassPolicy(
            mode=self._settings.final_pass,
            max_wait_ms=self._settings.final_pass_wait_ms,
            head_start_ms=max(config.limits.end_silence_ms - config.limits.guess_silence_ms, 0),
        )
        return PocketsphinxSession(
            config,
            decoder=decoder,
            compute=self._compute,
            policy=policy,
            speed=self._speed,
            on_close=lambda: self._pool.give_back(decoder),
        )

    async def close(self) -> None:
        """Ends the decoder processes."""
        self._compute.close()
        await self._pool.close()
