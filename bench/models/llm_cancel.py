"""How long vLLM's engine goes on after a client has cancelled its call."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Any, cast

from anima.llm.v1 import GenerateConfig, GenerateRequest, LlmServiceStub
from bench.models.llm_client import QUESTION
from services.llm.engines.vllm import VllmEngine
from services.runtime.calls.channels import open_channel

if TYPE_CHECKING:
    from anima.llm.v1.llm_pb2_grpc import LlmServiceAsyncStub

CANCELS = 20


async def stopped_ms(engine: VllmEngine, address: str) -> float:
    """Returns the median time from the cancel of an answer until the engine is idle, ms.

    Args:
        engine: The engine of the stage, in this process; it has no other work.
        address: Of the stage.
    """
    async with open_channel(address) as channel:
        llm = cast("LlmServiceAsyncStub", LlmServiceStub(channel))
        return 1000 * statistics.median([await _stopped_s(engine, llm) for _ in range(CANCELS)])


async def _stopped_s(engine: VllmEngine, llm: LlmServiceAsyncStub) -> float:
    core: Any = engine.keeper.living()[0]
    config = GenerateConfig(turn_id="bench", question=QUESTION, user_id="bench")
    call = llm.Generate(iter([GenerateRequest(config=config)]))
    async for response in call:
        if response.WhichOneof("event") == "delta":
            break
    if core.get_num_unfinished_requests() != 1:
        raise SystemExit("the answer ended before it was cancelled: use more --tokens")
    started_s = time.perf_counter()
    call.cancel()
    while core.get_num_unfinished_requests():  # noqa: ASYNC110 (vLLM has no event for it)
        await asyncio.sleep(0)
    return time.perf_counter() - started_s
