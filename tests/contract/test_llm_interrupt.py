"""What every language model does when it is interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import grpc

from anima.common.v1 import Interrupt
from anima.llm.v1 import GenerateConfig, GenerateRequest, GenerateResponse
from tests.contract.test_llm import SLOW_MS, config, read, refused
from tests.contract.test_llm import llm as llm

if TYPE_CHECKING:
    from anima.llm.v1.llm_pb2_grpc import LlmServiceAsyncStub


async def interrupted_after(
    llm: LlmServiceAsyncStub, sent: GenerateConfig, deltas: int, epoch: int
) -> list[GenerateResponse]:
    """Interrupts after some deltas and reads to the end."""
    reached = asyncio.Event()

    async def requests() -> AsyncIterator[GenerateRequest]:
        yield GenerateRequest(config=sent)
        await reached.wait()
        yield GenerateRequest(interrupt=Interrupt(epoch=epoch))

    responses: list[GenerateResponse] = []
    async for response in llm.Generate(requests()):
        responses.append(response)
        if len(responses) > deltas:
            reached.set()
    return responses


async def test_an_interrupt_is_confirmed_and_nothing_follows(llm: LlmServiceAsyncStub) -> None:
    sent = config("What can you do?", epoch=4, word_interval_ms=SLOW_MS)
    responses = await interrupted_after(llm, sent, deltas=2, epoch=5)
    events = [response.WhichOneof("event") for response in responses]
    assert events.count("interrupted") == 1
    assert events[-1] == "interrupted"
    assert "finished" not in events
    assert responses[-1].interrupted.epoch == 5
    assert responses[-1].header.epoch == 5
    assert responses[-1].interrupted.produced_samples == 0


async def test_an_interrupt_is_immediate(llm: LlmServiceAsyncStub) -> None:
    """Not with the next word, for which another stream of the same pace still waits."""
    sent = config("What can you do?", word_interval_ms=5_000)

    async def second_word() -> None:
        deltas = 0
        async for response in llm.Generate(iter([GenerateRequest(config=sent)])):
            deltas += response.WhichOneof("event") == "delta"
            if deltas == 2:
                return

    waiting = asyncio.create_task(second_word())
    responses = await interrupted_after(llm, sent, deltas=1, epoch=1)
    assert responses[-1].WhichOneof("event") == "interrupted"
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_an_interrupt_right_after_the_config(llm: LlmServiceAsyncStub) -> None:
    responses = await read(
        llm,
        [
            GenerateRequest(config=config(word_interval_ms=SLOW_MS)),
            GenerateRequest(interrupt=Interrupt(epoch=7)),
        ],
    )
    assert responses[-1].interrupted.epoch == 7


async def test_an_old_epoch_cannot_interrupt(llm: LlmServiceAsyncStub) -> None:
    sent = config(epoch=4, word_interval_ms=SLOW_MS)
    error = await refused(
        llm, GenerateRequest(config=sent), GenerateRequest(interrupt=Interrupt(epoch=4))
    )
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "interrupt.epoch" in str(error.details())
