"""The destination of speech: the one path of marks and audio from the voice to the client.

    Speaker -> SpeechSink (Face) -> Player -> client

A stage that changes the voice can be inserted between the two: it is the sink of the speaker and
uses the face as its own sink.
"""

from __future__ import annotations

from typing import Protocol

from anima.common.v1 import common_pb2 as common


class SpeechSink(Protocol):
    """Takes the speech of one answer, in order, on one sample clock.

    Every method may wait, which holds back the voice while the parts after it are behind.
    """

    async def marks(self, marks: common.Marks) -> None:
        """Takes words and visemes; they arrive before the audio that they describe."""

    async def audio(self, chunk: common.AudioChunk) -> None:
        """Takes audio; `start_sample` is the end of the previous chunk."""

    async def end(self) -> None:
        """Takes the end of the speech, exactly once, even when the voice has failed."""
