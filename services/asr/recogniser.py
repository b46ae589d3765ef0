"""An engine together with everything it needs to recognise streams."""

import asyncio
from dataclasses import replace

from services.asr.choosing.more_languages import how_to_hear_more
from services.asr.decoding.final_pass import DecoderSpeed, FinalPassPolicy
from services.asr.engine import AsrEngine
from services.asr.session import RecognitionSession, SessionConfig
from services.asr.settings import AsrSettings
from services.runtime.engine import EngineInfo
from services.runtime.process.compute import Compute


class Recogniser:
    """Opens recognition sessions on one engine."""

    def __init__(self, engine: AsrEngine, settings: AsrSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._compute = Compute(threads=settings.capacity, name="asr-vad")
        self._speed = DecoderSpeed()
        self._more_languages = ""

    async def open(self) -> None:
        """Opens the engine."""
        await self._engine.open()
        info = self._engine.describe()
        self._more_languages = info.more_languages
        if not self._more_languages and len(info.languages) == 1:
            self._more_languages = await asyncio.to_thread(how_to_hear_more, self._settings)

    def describe(self) -> EngineInfo:
        """Returns the description of the engine."""
        return replace(self._engine.describe(), more_languages=self._more_languages)

    async def open_session(self, config: SessionConfig) -> RecognitionSession:
        """Opens a recognition session for one stream.

        Raises:
            Busy: All decoders are in use.
        """
        policy = FinalPassPolicy(
            mode=self._settings.final_pass,
            max_wait_ms=self._settings.final_pass_wait_ms,
            head_start_ms=max(config.limits.end_silence_ms - config.limits.guess_silence_ms, 0),
        )
        return RecognitionSession(
            config,
            decoder=await self._engine.open_decoder(config.decoder),
            compute=self._compute,
            policy=policy,
            speed=self._speed,
        )

    async def close(self) -> None:
        """Closes the engine."""
        self._compute.close()
        await self._engine.close()
