"""Where speech goes: the one path of marks and audio from the voice to the client.

    Speaker -> SpeechSink (Face) -> Player -> client

A stage that changes the voice can stand between the two: it is a sink for the speaker and has the
face as its own sink.
"""

from __future__ import annotations

from typing import Protocol

from anima.common.v1 import common_pb2 as common


class SpeechSink(Protocol):
    """Takes the speech of one answer, in order, on one sample clock.

    Every method may wait: that holds back the voice while what follows is behind.
    """

    async def marks(self, marks: common.Marks) -> None:
        """Takes words and visemes; they come before the audio that they describe."""

    async def audio(self, chunk: common.AudioChunk) -> None:
        """Takes audio; `start_sample` is where the chunk before ended."""

    async def end(self) -> None:
        """Takes the end of the speech, exactly once; also when the voice has failed."""
