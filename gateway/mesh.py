"""The stages as the gateway sees them: channels, who is ready, what a session can choose from."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.settings import GatewaySettings


class Mesh:
    """Channels to all stages; an async context manager.

    `async with Mesh(settings) as mesh:` opens the channels; nothing waits for a stage to be there.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError

    async def describe(self) -> pb.DescribeMeshResponse:
        """Asks every stage how it is and what it offers; a stage that does not answer in 1 s is reported as not ready."""
        raise NotImplementedError
