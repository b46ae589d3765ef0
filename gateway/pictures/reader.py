"""Pictures of strangers, made small JPEG files in worker processes."""

from __future__ import annotations

from typing import Final

from gateway.pictures.limits import MAX_JPEG_BYTES, MAX_PICTURE_BYTES
from services.runtime.errors import InvalidRequest
from services.runtime.observing.logs import get_logger
from services.runtime.sandbox.jobs import Limits, RefusedError
from services.runtime.sandbox.sandbox import Answer, Sandbox, WorkerError

_NO_IMAGE: Final = "NOT_AN_IMAGE"
_TOO_LARGE: Final = "IMAGE_TOO_LARGE"
_JPEG: Final = b"\xff\xd8\xff"
# A PNG of 64 megapixels needs 4 bytes a pixel and its reduced copy; an interlaced one twice that.
_LIMITS: Final = Limits(
    memory_bytes=1 << 30, cpu_s=30, wall_s=90.0, max_answer_bytes=MAX_JPEG_BYTES, niceness=5
)
_WHYS: Final = {
    "crashed": "it is damaged and cannot be decoded; save it again",
    "out of time": "it takes too long to decode; save it as JPEG and send that",
    "out of memory": "it takes too much memory to decode; save it as JPEG and send that",
}


class PictureReader:
    """Makes pictures small, two at a time.

    A worker is forked from a process that has OpenCV loaded. That process starts with the first
    picture and ends a minute after the last one.
    """

    def __init__(self, job: str = "gateway.pictures.encoding") -> None:
        self._sandbox = Sandbox(job, limits=_LIMITS)

    async def read(self, field: str, data: bytes) -> bytes:
        """Like `read_now`, without blocking the event loop.

        Raises:
            Busy: Too many pictures are waiting.
        """
        _check_size(field, data)
        try:
            return _jpeg(await self._sandbox.call({}, data))
        except (RefusedError, WorkerError) as error:
            raise _refusal(field, error) from None

    def read_now(self, field: str, data: bytes) -> bytes:
        """Returns a small JPEG file without metadata of a JPEG, PNG or WebP file.

        Args:
            field: The place of the picture in the request, for errors.
            data: The file.

        Raises:
            InvalidRequest: The file is no picture, damaged, or too large.
            Unavailable: No worker can be started.
        """
        _check_size(field, data)
        try:
            return _jpeg(self._sandbox.run({}, data))
        except (RefusedError, WorkerError) as error:
            raise _refusal(field, error) from None

    def close(self) -> None:
        """Ends the workers."""
        self._sandbox.close()


def _check_size(field: str, data: bytes) -> None:
    if len(data) > MAX_PICTURE_BYTES:
        raise InvalidRequest(
            f"{field}: must be at most {MAX_PICTURE_BYTES} bytes, got {len(data)}",
            reason=_TOO_LARGE,
        )


def _jpeg(answer: Answer) -> bytes:
    jpeg = bytes(answer.content)
    if not jpeg.startswith(_JPEG):
        raise WorkerError("crashed", "its answer is no JPEG file")
    return jpeg


def _refusal(field: str, error: RefusedError | WorkerError) -> InvalidRequest:
    if isinstance(error, RefusedError):
        reason = error.reason if error.reason == _TOO_LARGE else _NO_IMAGE
        return InvalidRequest(f"{field}: {error.text}", reason=reason)
    get_logger().warning("a picture broke its decoder", fault=str(error))
    return InvalidRequest(f"{field}: {_WHYS[error.kind]}", reason=_NO_IMAGE)
