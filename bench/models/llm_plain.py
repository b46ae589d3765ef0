"""The simplest possible server for an engine: writes each output as it comes, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from anima.llm.v1 import (
    GenerateResponse,
    LlmServiceServicer,
    TextDelta,
    add_LlmServiceServicer_to_server,
)
from services.llm.engines.vllm import VllmEngine
from services.llm.engines.vllm.engine import engine_input


class PlainServer(LlmServiceServicer):
    """Answers every question with the engine's output for one prompt.

    Attributes:
        address: Its address.
        tokens: The number of tokens written so far.
    """

    def __init__(self, engine: VllmEngine, prompt: list[int]) -> None:
        self.address = ""
        self.tokens = 0
        self._engine = engine
        self._prompt = prompt
        self._answers = 0

    async def Generate(  # noqa: N802
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[GenerateResponse]:
        """Writes an answer."""
        core, _ = self._engine.keeper.living()
        self._answers += 1
        async for output in core.generate(
            engine_input(self._prompt, "bench"), self._engine.sampling(), f"plain-{self._answers}"
        ):
            self.tokens += len(output.outputs[0].token_ids)
            yield GenerateResponse(delta=TextDelta(text=output.outputs[0].text))


@asynccontextmanager
async def plain_server(engine: VllmEngine, prompt: list[int]) -> AsyncIterator[PlainServer]:
    """Serves on loopback for the body of the `async with`."""
    plain = PlainServer(engine, prompt)  # type: ignore[abstract]  # it is only asked for answers
    server = grpc.aio.server()
    add_LlmServiceServicer_to_server(plain, server)
    plain.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield plain
    finally:
        await server.stop(None)
