"""The engine `funasr`: speech is recognised by a FunASR server of the operator.

Such a server runs Paraformer, SenseVoice or Fun-ASR-Nano; its default port is 10095.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import urlsplit

from pydantic import Field

from services.asr.engine import DecoderConfig
from services.asr.engines.funasr.decoder import FunasrDecoder
from services.asr.engines.funasr.utterance import Server, Utterance
from services.asr.settings import AsrSettings
from services.runtime.config.settings import SettingsError
from services.runtime.engine import EngineInfo
from services.runtime.engine_options import EngineOptions, Texts
from services.runtime.errors import Busy
from services.runtime.process.tasks import Tasks

_HOT_WORD_WEIGHT: Final = 20
_CLOSE_TIMEOUT_S: Final = 5.0


class FunasrOptions(EngineOptions):
    """The settings that the engine `funasr` reads from `ANIMA_ASR_*`."""

    funasr_url: str = ""
    """The address of the server, such as `wss://asr.example:10095`."""
    funasr_ca_file: str = ""
    """The certificate that the server must have or be signed with, PEM; empty: one that the system
    trusts. The certificate that FunASR brings with it is its own authority."""
    funasr_languages: Texts = Field(default=("zh", "en"))
    """BCP-47 tags of the languages that its model understands, the default first, separated by
    "|"."""
    funasr_itn: bool = True
    """Whether the server writes numbers as digits."""
    funasr_answer_timeout_s: float = Field(default=3.0, gt=0, le=60)
    """How long to wait for the text after the end of speech; the server sends none if it has
    understood nothing."""


class FunasrEngine:
    """A `services.asr.engine.AsrEngine` whose decoders have one connection per segment."""

    options_type: ClassVar = FunasrOptions

    def __init__(self, settings: AsrSettings) -> None:
        self._options = FunasrOptions.read(settings)
        self._capacity = settings.capacity
        self._open_decoders = 0
        self._tasks = Tasks("funasr")
        self._server: Server | None = None

    async def open(self) -> None:
        """Connects once.

        Raises:
            SettingsError: The address or the certificate is wrong.
            Unavailable: The server does not answer.
        """
        self._server = await asyncio.to_thread(_server, self._options)
        utterance = self._utterance({})
        await utterance.send(b"")
        await utterance.close()

    def describe(self) -> EngineInfo:
        """Returns the engine's name and the languages that the operator has named."""
        return EngineInfo(
            name="funasr",
            version="2pass",
            licence="LicenseRef-model-of-the-operator",
            languages=self._options.funasr_languages,
        )

    async def open_decoder(self, config: DecoderConfig) -> FunasrDecoder:
        """Opens a decoder, which connects with the first audio of a segment.

        Raises:
            Busy: All decoders are in use.
        """
        if self._open_decoders >= self._capacity:
            raise Busy(f"all {self._capacity} decoders are in use", retry_after_ms=1000)
        self._open_decoders += 1
        hot_words = dict.fromkeys(config.phrase_hints, _HOT_WORD_WEIGHT)
        return FunasrDecoder(
            lambda: self._utterance(hot_words), tasks=self._tasks, on_close=self._closed
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._tasks.wait(timeout_s=_CLOSE_TIMEOUT_S)
        await self._tasks.close()

    def _utterance(self, hot_words: dict[str, int]) -> Utterance:
        if self._server is None:
            raise RuntimeError("the engine is not open")
        return Utterance(self._server, hot_words=hot_words, tasks=self._tasks)

    def _closed(self) -> None:
        self._open_decoders -= 1


def _server(options: FunasrOptions) -> Server:
    """Returns the server; reads the file of the certificate."""
    scheme = urlsplit(options.funasr_url).scheme
    if scheme not in ("ws", "wss"):
        raise SettingsError(
            "ANIMA_ASR_FUNASR_URL: must be the address of a FunASR server that begins with ws:// "
            f"or wss://, got {options.funasr_url!r}"
        )
    if not options.funasr_languages or not all(options.funasr_languages):
        raise SettingsError("ANIMA_ASR_FUNASR_LANGUAGES: must name at least one language")
    return Server(
        url=options.funasr_url,
        trust=_trust(options.funasr_ca_file) if scheme == "wss" else None,
        answer_timeout_s=options.funasr_answer_timeout_s,
        normalised=options.funasr_itn,
        languages=options.funasr_languages,
    )


def _trust(ca_file: str) -> ssl.SSLContext:
    try:
        path = Path(ca_file).expanduser() if ca_file else None
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise SettingsError(f"ANIMA_ASR_FUNASR_CA_FILE: {ca_file}: {error}") from None
