"""One utterance on a connection to a FunASR server.

The protocol is that of `runtime/docs/websocket_protocol.md` in
https://github.com/modelscope/FunASR: a JSON object with the configuration, PCM as binary messages,
and a JSON object that ends the speech. In the mode `2pass` the server first sends pieces of text
that belong one after another (`2pass-online`), and for each of its own sentences a better text that
replaces them (`2pass-offline`).
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from services.asr.engine import DECODER_RATE_HZ, Hypothesis
from services.runtime.errors import Unavailable
from services.runtime.process.tasks import Tasks
from text.scripts import UNSPACED

_CHUNK_BYTES: Final = 2 * DECODER_RATE_HZ * 60 // 1000
"""The server counts messages of 60 ms."""
_CHUNKS: Final = (5, 10, 5)
"""Look-back, step and look-ahead of the streaming model, in units of 60 ms."""
_CONNECT_TIMEOUT_S: Final = 5.0
_MAX_MESSAGE_BYTES: Final = 256 * 1024
_MAX_CHARACTERS: Final = 16 * 1024
_TAG: Final = re.compile(r"<\|([^|>]{0,32})\|>")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
_UNSPACED: Final = re.compile(f"[{UNSPACED}]")


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where a server is and how it is asked.

    Attributes:
        url: Its address, `ws://` or `wss://`.
        trust: The certificates that it may have; None without TLS.
        answer_timeout_s: How long to wait for the text after the end of speech.
        normalised: Whether numbers are written as digits.
        languages: BCP-47 tags of the languages that it understands.
    """

    url: str
    trust: ssl.SSLContext | None
    answer_timeout_s: float
    normalised: bool
    languages: tuple[str, ...]


class Utterance:
    """A connection for one utterance, and the text that has arrived.

    Args:
        server: The server.
        hot_words: Likely words with their weights.
        tasks: Owns the work that reads the answers.
    """

    def __init__(self, server: Server, *, hot_words: Mapping[str, int], tasks: Tasks) -> None:
        self._server = server
        self._hot_words = hot_words
        self._tasks = tasks
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._rest = b""
        self._settled = ""
        self._preliminary = ""
        self._language = ""
        self._ending = False
        self._answered = asyncio.Event()
        self.sent_samples = 0

    @property
    def heard(self) -> Hypothesis:
        """The text so far."""
        text = _joined(self._settled, self._preliminary)
        return Hypothesis(text=text, language=self._language)

    async def send(self, pcm: bytes) -> None:
        """Sends audio, mono int16 at 16 kHz; connects first if that has not happened.

        Raises:
            Unavailable: The server cannot be reached, or has closed the connection.
        """
        try:
            socket = self._socket or await self._connect()
            self.sent_samples += len(pcm) // 2
            audio = self._rest + pcm
            whole = len(audio) // _CHUNK_BYTES * _CHUNK_BYTES
            for start in range(0, whole, _CHUNK_BYTES):
                await socket.send(audio[start : start + _CHUNK_BYTES])
            self._rest = audio[whole:]
        except (OSError, TimeoutError, WebSocketException) as error:
            raise self._unavailable(error) from error

    async def finish(self) -> Hypothesis:
        """Ends the speech and returns its text.

        Raises:
            Unavailable: The server has closed the connection.
        """
        socket = self._socket
        if socket is None:
            return self.heard
        try:
            if self._rest:
                await socket.send(self._rest)
            self._ending = True
            await socket.send(json.dumps({"is_speaking": False}))
        except WebSocketException as error:
            raise self._unavailable(error) from error
        try:
            await asyncio.wait_for(self._answered.wait(), self._server.answer_timeout_s)
        except TimeoutError:
            # It sends nothing if it has understood nothing.
            return self.heard
        if not self._settled and socket.close_code is not None:
            raise self._unavailable("it closed the connection")
        return self.heard

    async def close(self) -> None:
        """Closes the connection."""
        if self._reading is not None:
            self._reading.cancel()
        if self._socket is not None:
            await self._socket.close()

    async def _connect(self) -> ClientConnection:
        socket = await connect(
            self._server.url,
            ssl=self._server.trust,
            subprotocols=[Subprotocol("binary")],
            open_timeout=_CONNECT_TIMEOUT_S,
            max_size=_MAX_MESSAGE_BYTES,
            proxy=None,
            compression=None,
        )
        self._socket = socket
        self._reading = self._tasks.start(self._read(socket), name="funasr answers")
        await socket.send(json.dumps(self._configuration()))
        return socket

    def _configuration(self) -> dict[str, Any]:
        return {
            "mode": "2pass",
            "wav_name": "anima",
            "wav_format": "pcm",
            "audio_fs": DECODER_RATE_HZ,
            "is_speaking": True,
            "chunk_size": list(_CHUNKS),
            "chunk_interval": 10,
            "itn": self._server.normalised,
            # The server expects a string with an object in it.
            "hotwords": json.dumps(dict(self._hot_words), ensure_ascii=False),
        }

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                self._take(message)
        except ConnectionClosed:
            pass
        finally:
            self._answered.set()

    def _take(self, message: str | bytes) -> None:
        try:
            answer = json.loads(message)
        except ValueError:
            return
        if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
            return
        tags = _TAG.findall(answer["text"])
        known = (tag for tag in tags if _LANGUAGE.fullmatch(tag) and tag in self._server.languages)
        self._language = next(known, self._language)
        text = _TAG.sub("", answer["text"])
        if str(answer.get("mode", "")).endswith("online"):
            self._preliminary = _joined(self._preliminary, text)[:_MAX_CHARACTERS]
            return
        self._settled = _joined(self._settled, text)[:_MAX_CHARACTERS]
        self._preliminary = ""
        if self._ending:
            self._answered.set()

    def _unavailable(self, reason: object) -> Unavailable:
        return Unavailable(f"the FunASR server at {self._server.url} does not answer: {reason}")


def _joined(before: str, after: str) -> str:
    """Joins two pieces of text; words of languages that are written with spaces get one."""
    after = after.strip() if not before else after
    if not before or not after or before[-1].isspace() or after[0].isspace():
        return before + after
    touches = _UNSPACED.match(before[-1]) or not after[0].isalnum() or _UNSPACED.match(after[0])
    return before + after if touches else f"{before} {after}"
