"""The engines `openai` and `transformers` with a real model behind them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc
import httpx
import pytest

from anima.llm.v1 import GenerateRequest
from tests.contract.test_llm import ask, config, stub
from tests.vllm.conftest import OpenAiServer, Served, channel_to, with_lost

QUESTION = "Who are you?"


@pytest.mark.parametrize("persona", ["anima", "calm", "loud"])
async def test_all_engines_say_the_same(
    vllm_stage: Served, openai_stage: Served, transformers_stage: Served, persona: str
) -> None:
    """Greedily, with and without an adapter, through three ways to the same weights."""
    said = []
    for stage in (vllm_stage, openai_stage, transformers_stage):
        async with channel_to(stage) as channel:
            said.append((await ask(stub(channel), config(QUESTION, persona=persona))).text)
    assert said[1] == said[0]
    assert said[2] == said[0]


async def test_adapters_change_what_is_said(transformers_stage: Served) -> None:
    async with channel_to(transformers_stage) as channel:
        llm = stub(channel)
        said = [
            (await ask(llm, config(QUESTION, persona=persona))).text
            for persona in ("anima", "calm", "loud", "anima")
        ]
    assert said[0] == said[3]
    assert len(set(said)) == 3


@pytest.mark.parametrize("engine", ["openai", "transformers"])
async def test_a_missing_adapter_is_not_found(
    request: pytest.FixtureRequest, tiny: Path, engine: str
) -> None:
    plain: Served = request.getfixturevalue(f"{engine}_stage")
    async with with_lost(plain, tiny) as stage, channel_to(stage) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(stub(channel), config(persona="lost"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        assert (await ask(stub(channel), config())).text


async def running(server: OpenAiServer) -> float:
    """The number of requests that vLLM's server is processing."""
    async with httpx.AsyncClient(verify=False) as client:
        page = await client.get(server.base_url.removesuffix("/v1") + "/metrics")
    lines = [
        line for line in page.text.splitlines() if line.startswith("vllm:num_requests_running{")
    ]
    return float(lines[0].rpartition(" ")[2])


async def test_a_cancel_reaches_the_server(
    openai_stage: Served, openai_server: OpenAiServer
) -> None:
    async with channel_to(openai_stage) as channel:
        calls = []
        for _ in range(4):
            sent = config("What can you do?", word_interval_ms=1_000)
            call = stub(channel).Generate(iter([GenerateRequest(config=sent)]))
            async for response in call:
                if response.WhichOneof("event") == "delta":
                    break
            calls.append(call)
        for call in calls:
            call.cancel()
        started_s = time.perf_counter()
        async with asyncio.timeout(90):
            while await running(openai_server):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.01)
        print(f"idle after {1000 * (time.perf_counter() - started_s):.0f} ms")
        assert (await ask(stub(channel), config())).text
