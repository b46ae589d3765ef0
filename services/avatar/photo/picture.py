"""Photos of strangers, decoded in worker processes."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.avatar.engine import BgrImage, ImageFile
from services.avatar.photo.decoding import MAX_DECODED_PIXELS
from services.avatar.photo.faults import PhotoFault
from services.runtime.observing.logs import get_logger
from services.runtime.sandbox.jobs import Limits, RefusedError
from services.runtime.sandbox.pictures import IMAGE_TOO_LARGE, NOT_AN_IMAGE
from services.runtime.sandbox.sandbox import Answer, Sandbox, WorkerError

_CHANNELS: Final = 3
# A PNG of 64 megapixels needs 4 bytes a pixel and its reduced copy; an interlaced one twice that.
_LIMITS: Final = Limits(
    memory_bytes=1 << 30,
    cpu_s=30,
    wall_s=90.0,
    max_answer_bytes=_CHANNELS * MAX_DECODED_PIXELS,
    niceness=5,
)
_WHYS: Final = {
    "crashed": "the photo is damaged and cannot be decoded; save it again",
    "out of time": "the photo takes too long to decode; save it as JPEG and send that",
    "out of memory": "the photo takes too much memory to decode; save it as JPEG and send that",
}


class PhotoReader:
    """Decodes photos, and portraits of avatars; its methods may run in any thread.

    A worker is forked from a process that has OpenCV loaded. That process starts with the first
    photo and ends a minute after the last one.
    """

    def __init__(self, job: str = "services.avatar.photo.decoding") -> None:
        self._sandbox = Sandbox(job, limits=_LIMITS)

    def read(self, data: ImageFile) -> BgrImage:
        """Decodes a JPEG, PNG or WebP file and rotates it according to its EXIF data.

        A photo of more than `MAX_DECODED_PIXELS` is scaled down to that.

        Raises:
            PhotoFault: The file has another format, is damaged, or has too many pixels.
            Unavailable: No worker can be started.
        """
        try:
            return _picture(self._sandbox.run({}, data))
        except RefusedError as error:
            known = error.reason in (NOT_AN_IMAGE, IMAGE_TOO_LARGE)
            raise PhotoFault(error.reason if known else NOT_AN_IMAGE, error.text) from None
        except WorkerError as error:
            get_logger().warning("a photo broke its decoder", fault=str(error))
            raise PhotoFault(NOT_AN_IMAGE, _WHYS[error.kind]) from None

    def close(self) -> None:
        """Ends the workers."""
        self._sandbox.close()


def _picture(answer: Answer) -> BgrImage:
    match answer.header:
        case {"shape": [int(height), int(width), 3]} if min(
            height, width
        ) > 0 and height * width * _CHANNELS == len(answer.content):
            return np.frombuffer(answer.content, np.uint8).reshape(height, width, _CHANNELS)
    raise WorkerError("crashed", "its answer has another shape than it says")
