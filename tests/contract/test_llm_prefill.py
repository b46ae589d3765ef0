"""Prefills: part of the conformance suite of the language model, see test_llm.py."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from anima.llm.v1 import (
    ROLE_ASSISTANT,
    ROLE_USER,
    GenerateConfig,
    Memory,
    Message,
    PrefillRequest,
)
from tests.contract.test_llm import ask, config, llm

if TYPE_CHECKING:
    from anima.llm.v1.llm_pb2_grpc import LlmServiceAsyncStub

HISTORY = [
    Message(role=ROLE_USER, text="Hello."),
    Message(role=ROLE_ASSISTANT, text="Good day."),
]


async def test_a_prefill_changes_no_answer(llm: LlmServiceAsyncStub) -> None:
    asked = config("Who are you?", history=HISTORY, user_id="prefill-1")
    before = await ask(llm, asked)
    early = GenerateConfig()
    early.CopyFrom(asked)
    early.question = ""
    await llm.Prefill(PrefillRequest(config=early))
    after = await ask(llm, asked)
    assert after.text == before.text
    assert after.language == before.language


@pytest.mark.parametrize("question", ["", "Who", "你是"])
async def test_what_has_been_heard_may_be_anything(llm: LlmServiceAsyncStub, question: str) -> None:
    memories = [Memory(text="I like tea.", score=0.9)]
    sent = config(question, history=HISTORY, memories=memories, user_id="prefill-2")
    await llm.Prefill(PrefillRequest(config=sent))


async def test_a_prefill_can_be_cancelled(llm: LlmServiceAsyncStub) -> None:
    history = [
        Message(role=ROLE_USER if number % 2 == 0 else ROLE_ASSISTANT, text="A word. " * 30)
        for number in range(20)
    ]
    sent = config("", history=history, user_id="prefill-3")
    call = llm.Prefill(PrefillRequest(config=sent))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await ask(llm, config("Who are you?", history=history, user_id="prefill-3"))).text


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"persona": "nobody"}, grpc.StatusCode.NOT_FOUND),
        ({"turn_id": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"question": "x" * 8_001}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_a_bad_prefill_is_refused(
    llm: LlmServiceAsyncStub, changes: dict[str, str], code: grpc.StatusCode
) -> None:
    sent = config(**{"question": ""} | changes)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await llm.Prefill(PrefillRequest(config=sent))
    assert caught.value.code() == code


__all__ = ["llm"]
