"""The interface of the encoder of one stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.avatar.engine import Frame


@dataclass(frozen=True, kw_only=True)
class CodedFrame:
    """One access unit in Annex B form."""

    key_frame: bool
    data: bytes


class VideoEncoder(Protocol):
    """Codes one stream as H.264 without B-frames, with a key frame each second.

    Every picture comes back as one access unit at once. Key frames carry their parameter sets, so
    a decoder may begin at any of them. Used by one thread at a time, never on the event loop.
    """

    def encode(self, frame: Frame) -> CodedFrame:
        """Codes the next picture.

        Args:
            frame: A picture of the size of the stream.
        """
        ...
