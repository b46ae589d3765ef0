"""A client of `Converse` for tests: acts like a person's client and keeps every event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from anima.common import v1 as common
from anima.gateway import v1 as gateway
from services.runtime.calls.channels import open_channel

if TYPE_CHECKING:
    from anima.gateway.v1.gateway_pb2_grpc import GatewayServiceAsyncStub

TURN_TIMEOUT_S = 90.0


class Conversation:
    """One session over gRPC."""

    def __init__(self, stub: GatewayServiceAsyncStub) -> None:
        self._call: Any = stub.Converse()
        self._writing = asyncio.Lock()
        self.events: list[gateway.ConverseResponse] = []
        self._sent_samples = 0

    async def send(self, request: gateway.ConverseRequest) -> None:
        async with self._writing:
            await self._call.write(request)

    async def ask(self, text: str) -> None:
        await self.send(gateway.ConverseRequest(text=gateway.TextInput(text=text)))

    async def stop(self) -> None:
        await self.send(gateway.ConverseRequest(stop=gateway.Stop()))

    async def speak(self, samples: NDArray[np.int16], rate_hz: int) -> None:
        """Sends a recording as fast as it is accepted, then the end of speech."""
        for first in range(0, samples.size, rate_hz // 50):
            pcm = samples[first : first + rate_hz // 50].astype("<i2").tobytes()
            chunk = common.AudioChunk(
                start_sample=self._sent_samples, sample_rate_hz=rate_hz, pcm=pcm
            )
            self._sent_samples += len(pcm) // 2
            await self.send(gateway.ConverseRequest(audio=chunk))
        await self.send(gateway.ConverseRequest(end_of_speech=gateway.EndOfSpeech()))

    async def until(
        self, wanted: Callable[[gateway.ConverseResponse], bool]
    ) -> gateway.ConverseResponse:
        """Reads on until an event matches, and returns it."""
        async with asyncio.timeout(TURN_TIMEOUT_S):
            while True:
                event = await self._call.read()
                if not isinstance(event, gateway.ConverseResponse):
                    raise AssertionError(
                        f"ended: {await self._call.code()} {await self._call.details()}"
                    )
                self.events.append(event)
                if wanted(event):
                    return event

    async def until_kind(self, kind: str) -> gateway.ConverseResponse:
        return await self.until(lambda event: event.WhichOneof("event") == kind)

    def leave(self) -> None:
        """End the session at once."""
        self._call.cancel()

    async def turn(self, text: str) -> list[gateway.ConverseResponse]:
        """Asks a typed question and returns the events of its turn."""
        first = len(self.events)
        await self.ask(text)
        await self.until_kind("turn_ended")
        return self.events[first:]


@asynccontextmanager
async def conversation(
    address: str, config: gateway.ConverseConfig | None = None, *, token: str | None = None
) -> AsyncIterator[Conversation]:
    """Opens a session at a gateway."""
    async with open_channel(address, token=token) as channel:
        session = Conversation(cast("GatewayServiceAsyncStub", gateway.GatewayServiceStub(channel)))
        await session.send(gateway.ConverseRequest(config=config or gateway.ConverseConfig()))
        await session.until_kind("session_started")
        yield session
        session.leave()
