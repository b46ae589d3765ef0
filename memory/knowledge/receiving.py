"""Takes in the bytes of a document from the wire."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Final

from anima.memory import v1 as wire
from memory.knowledge.document import Progress
from services.runtime.errors import DeadlineExceeded, InvalidRequest

MAX_FILE_BYTES: Final = 32 * 1024 * 1024
MAX_PIECE_BYTES: Final = 1024 * 1024
# Whoever sends nothing for so long does not keep a place.
_SILENCE_S: Final = 30.0


class Receiver:
    """The content of one document, whole once `pieces` has ended."""

    def __init__(self, requests: AsyncIterator[wire.AddDocumentRequest]) -> None:
        self._requests = requests
        self._content = bytearray()

    async def pieces(self) -> AsyncIterator[Progress]:
        """Takes in all pieces and tells of each.

        Raises:
            InvalidRequest: A piece, or the file, is empty or too large.
            DeadlineExceeded: Nothing came for too long.
        """
        while True:
            try:
                async with asyncio.timeout(_SILENCE_S):
                    request = await anext(self._requests, None)
            except TimeoutError:
                raise DeadlineExceeded(f"content: nothing came for {_SILENCE_S:.0f} s") from None
            if request is None:
                break
            self._take(request.content)
            yield Progress(phase=wire.DOCUMENT_PHASE_RECEIVING, done=len(self._content))
        if not self._content:
            raise InvalidRequest("content: the file is empty")

    def _take(self, piece: bytes) -> None:
        if len(piece) > MAX_PIECE_BYTES:
            raise InvalidRequest(f"content: {len(piece)} bytes are more than {MAX_PIECE_BYTES}")
        if len(self._content) + len(piece) > MAX_FILE_BYTES:
            raise InvalidRequest(
                f"content: the file is larger than {MAX_FILE_BYTES // 1024**2} MiB; cut it up"
            )
        self._content += piece

    def content(self) -> tuple[bytes, str]:
        """Gives the content and its SHA-256 in hexadecimal; takes milliseconds for a large file."""
        content = bytes(self._content)
        self._content.clear()
        return content, hashlib.sha256(content).hexdigest()
