"""The interface of the encoder of one stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.avatar.engine import Frame


@dataclass(frozen=True, kw_only=True)
class CodedFrame:
    """One access unit in Annex B format."""

    key_frame: bool
    data: bytes


class VideoEncoder(Protocol):
    """Encodes one stream as H.264 without B-frames, with a key frame every second.

    Each picture immediately yields one access unit. Key frames carry their parameter sets, so a
    decoder may start at any of them. Used by one thread at a time, never on the event loop.
    """

    def encode(self, frame: Frame) -> CodedFrame:
        """Encodes the next picture.

        Args:
            frame: A picture of the size of the stream.
        """
        ...
