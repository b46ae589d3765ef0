"""Follows the audio that a client plays, so that its echo is removed from the microphone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.listening.echo.canceller import EchoCanceller
from gateway.listening.echo.reference import PlayedAudio
from gateway.session.opening import Opening
from gateway.stages.mesh import Mesh


class Loudspeaker:
    """Follows the events that are sent to the client.

    Nothing is kept until the microphone is in use.

    Args:
        mesh: The stages.
        opening: The parameters of the session.

    Attributes:
        canceller: Cleans the microphone audio; None: the session has no speech, or the gateway is
            told not to.
    """

    def __init__(self, mesh: Mesh, opening: Opening) -> None:
        self._played = PlayedAudio(mesh.settings.sample_rate_hz)
        self.canceller: EchoCanceller | None = None
        if opening.speech and mesh.settings.echo_cancellation:
            self.canceller = EchoCanceller(
                self._played, sample_rate_hz=opening.input_rate_hz, compute=mesh.echo
            )

    @property
    def hears_itself(self) -> bool:
        """True once the microphone has clearly heard the answers."""
        return self.canceller is not None and self.canceller.heard_echo

    def follow(
        self, events: AsyncIterator[pb.ConverseResponse]
    ) -> AsyncIterator[pb.ConverseResponse]:
        """Returns the events unchanged."""
        return events if self.canceller is None else self._follow(events, self.canceller)

    async def _follow(
        self, events: AsyncIterator[pb.ConverseResponse], canceller: EchoCanceller
    ) -> AsyncIterator[pb.ConverseResponse]:
        async for event in events:
            if canceller.in_use:
                self._note(event)
            yield event

    def _note(self, event: pb.ConverseResponse) -> None:
        kind = event.WhichOneof("event")
        now_s = asyncio.get_running_loop().time()
        if kind == "media":
            self._played.play(event.media.audio.pcm, now_s)
        elif kind == "turn_paused":
            self._played.hold(now_s)
        elif kind == "turn_resumed":
            self._played.go_on(now_s)
        elif kind == "turn_interrupted":
            self._played.stop(now_s)
