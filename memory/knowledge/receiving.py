"""Receives the bytes of a document."""

import hashlib
from collections.abc import AsyncIterator
from typing import Final

from anima.memory import v1 as wire
from memory.knowledge.document import Progress
from services.runtime.errors import InvalidRequest

MAX_FILE_BYTES: Final = 32 * 1024 * 1024
MAX_PIECE_BYTES: Final = 1024 * 1024


class Receiver:
    """The content of one document, complete once `pieces` has ended."""

    def __init__(self, requests: AsyncIterator[wire.AddDocumentRequest]) -> None:
        self._requests = requests
        self._content = bytearray()

    async def pieces(self) -> AsyncIterator[Progress]:
        """Receives all pieces and yields the progress after each.

        Raises:
            InvalidRequest: A piece, or the file, is empty or too large.
        """
        async for request in self._requests:
            self._take(request.content)
            yield Progress(phase=wire.DOCUMENT_PHASE_RECEIVING, done=len(self._content))
        if not self._content:
            raise InvalidRequest("content: the file is empty")

    def _take(self, piece: bytes) -> None:
        if len(piece) > MAX_PIECE_BYTES:
            raise InvalidRequest(
                f"content: must be at most {MAX_PIECE_BYTES} bytes, got {len(piece)}"
            )
        if len(self._content) + len(piece) > MAX_FILE_BYTES:
            raise InvalidRequest(
                f"content: must be at most {MAX_FILE_BYTES // 1024**2} MiB in all; split the file"
            )
        self._content += piece

    def content(self) -> tuple[bytes, str]:
        """Returns the content and its SHA-256 in hex; takes milliseconds for a large file."""
        content = bytes(self._content)
        self._content.clear()
        return content, hashlib.sha256(content).hexdigest()
