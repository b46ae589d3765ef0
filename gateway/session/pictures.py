"""The pictures that wait for the next question of a session."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.pictures.limits import MAX_PICTURE_BYTES, MAX_PICTURES
from gateway.pictures.reader import PictureReader
from services.runtime.errors import InvalidRequest


class WaitingPictures:
    """Receives pictures in pieces and keeps them until they were shown.

    Args:
        reader: Makes them small.
    """

    def __init__(self, reader: PictureReader) -> None:
        self._reader = reader
        self._file = bytearray()
        self._waiting: list[bytes] = []

    @property
    def waiting(self) -> tuple[bytes, ...]:
        """The pictures of the next question, JPEG files."""
        return tuple(self._waiting)

    async def take(self, data: bytes, *, more: bool) -> None:
        """Takes a piece of a file; the last one is decoded with all before it.

        Args:
            data: The piece; empty, with none before it: the waiting pictures are dropped.
            more: Whether another piece follows.

        Raises:
            InvalidRequest: The file is no picture or too large, or too many wait.
            Busy: Too many pictures are being decoded.
        """
        if len(self._file) + len(data) > MAX_PICTURE_BYTES:
            self._file.clear()
            raise InvalidRequest(
                f"picture: must be at most {MAX_PICTURE_BYTES} bytes", reason="IMAGE_TOO_LARGE"
            )
        self._file += data
        if more:
            return
        file = bytes(self._file)
        self._file.clear()
        if not file:
            self._waiting.clear()
            return
        if len(self._waiting) >= MAX_PICTURES:
            raise InvalidRequest(f"picture: at most {MAX_PICTURES} may be shown with one question")
        self._waiting.append(await self._reader.read("picture", file))
        del self._waiting[MAX_PICTURES:]

    def shown(self, pictures: Sequence[bytes]) -> None:
        """Forgets pictures that a question has shown."""
        self._waiting = [one for one in self._waiting if one not in pictures]
