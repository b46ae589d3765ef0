"""One conversation, free of any transport: gRPC, REST and WebSocket are thin edges over it.

How an edge uses it::

    async with Session.open(mesh, config) as session:
        feeding = asyncio.create_task(feed(session))      # session.text(...), session.audio(...), ...
        async for event in session.events():              # ConverseResponse, `session_started` first
            await send(event)

`gateway.web.edge.routes(mesh: Mesh) -> list[BaseRoute]` is what `gateway.rest` includes if it is present. The HTTP layer has
checked token, Host and Origin before a route or a WebSocket of the page is called.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.mesh import Mesh

__all__ = ["Mesh", "Session"]


class Session:
    """A conversation with a digital human.

    Every method belongs to the event loop that opened the session. Methods that take input raise
    `InvalidRequest` (`services.runtime.errors`) for wrong input; the session then lives on as if the input had not come.
    """

    @classmethod
    @asynccontextmanager
    async def open(cls, mesh: Mesh, config: pb.ConverseConfig) -> AsyncIterator[Session]:
        """Opens a conversation and closes it at the end of the block.

        Closing cancels everything that is under way and frees the place; the person's last question and the heard part of its
        answer are still remembered, in the background.

        Args:
            mesh: The stages, entered already.
            config: What the client wants. Empty fields mean the defaults of the contract.

        Yields:
            The open session; its first event is `session_started`.

        Raises:
            InvalidRequest: A field of `config` is wrong; the text names it.
            NotFound: The persona, voice or avatar is unknown; the text lists the known ones.
            Busy: All places are taken.
            Unavailable: The language model has never answered, so that no persona is known.
        """
        raise NotImplementedError
        yield cls()

    @property
    def started(self) -> pb.SessionStarted:
        """What the session was opened with: id, persona, video format, audio rate."""
        raise NotImplementedError

    async def text(self, text: str) -> None:
        """Asks a typed question; an answer under way is interrupted first.

        Waits while the client reads too slowly, and until an interrupted answer has stopped (some ms).

        Args:
            text: The question, 1 to 8,000 characters.
        """
        raise NotImplementedError

    async def audio(self, chunk: common.AudioChunk) -> None:
        """Takes microphone audio: on all the time, or only while a button is held.

        Args:
            chunk: Mono int16 at the config's rate; `start_sample` counts from the start of the session's audio, without gaps.
                `header` may be left out.
        """
        raise NotImplementedError

    async def end_of_speech(self) -> None:
        """Says that the person has finished (button released): the utterance is finished without waiting for silence."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Stops the answer under way; does nothing if there is none."""
        raise NotImplementedError

    def playback(self, report: pb.PlaybackReport) -> None:
        """Notes how far the client has played a turn; what was heard is reckoned from it instead of from the schedule."""
        raise NotImplementedError

    def finish(self) -> None:
        """Says that no input follows: `events` ends after the answer under way."""
        raise NotImplementedError

    def events(self) -> AsyncIterator[pb.ConverseResponse]:
        """Gives what the session says, in order; to be read by one reader, at the pace of the client.

        What is held for a slow reader is bounded; at an interruption media that has not been read is dropped.
        """
        raise NotImplementedError
