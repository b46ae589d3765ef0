"""The client side of `bench.llm`, in its own process, as in real use.

It reads lines "STREAMS ANSWERS TOKENS" from its input, requests ANSWERS answers one after another
in each of STREAMS streams, and prints one JSON line with the time of each first text, the total
time by its own clock, and its CPU time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, cast

from anima.llm.v1 import GenerateConfig, GenerateRequest, LlmServiceStub
from services.runtime.calls.channels import open_channel

if TYPE_CHECKING:
    from anima.llm.v1.llm_pb2_grpc import LlmServiceAsyncStub

QUESTION = "What can you do, and how are you built?"


async def first_text_s(llm: LlmServiceAsyncStub, tokens: int) -> float:
    """Requests one answer; returns the time from the call to its first text, s."""
    config = GenerateConfig(
        turn_id="bench", question=QUESTION, user_id="bench", max_words=tokens * 4
    )
    started_s, first_s = time.perf_counter(), 0.0
    async for response in llm.Generate(iter([GenerateRequest(config=config)])):
        if response.WhichOneof("event") == "delta":
            first_s = first_s or time.perf_counter() - started_s
    return first_s


async def stream(llm: LlmServiceAsyncStub, answers: int, tokens: int) -> list[float]:
    """Requests answers one after another; returns the times to their first texts, s."""
    return [await first_text_s(llm, tokens) for _ in range(answers)]


async def serve(address: str) -> None:
    """Answers the lines until the input ends."""
    async with open_channel(address) as channel:
        llm = cast("LlmServiceAsyncStub", LlmServiceStub(channel))
        while line := await asyncio.to_thread(sys.stdin.readline):
            streams, answers, tokens = map(int, line.split())
            started_s, cpu_s = time.perf_counter(), time.process_time()
            found = await asyncio.gather(*(stream(llm, answers, tokens) for _ in range(streams)))
            total_s = time.perf_counter() - started_s
            firsts_s = [first_s for one in found for first_s in one]
            cpu_s = time.process_time() - cpu_s
            told = {"firsts_s": firsts_s, "total_s": total_s, "cpu_s": cpu_s}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
