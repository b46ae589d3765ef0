"""Rates per caller: who uses too much waits, and the others do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from anima.memory.v1 import (
    AddDocumentRequest,
    DocumentConfig,
    Item,
    ItemKind,
    KnowledgeOwner,
    ListRequest,
    MemoryServiceStub,
    RememberRequest,
)
from memory.servicer import build
from memory.settings import MemorySettings
from services.runtime.calls.channels import open_channel
from services.runtime.errors import AnimaError, Busy, error_from_rpc
from services.runtime.limits import rates
from services.runtime.limits.rates import Rate
from services.runtime.server import serving
from tests.unit.identity.tokens import key_file, token


class Clock:
    """A clock that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def rate(amount: float, clock: Clock) -> Rate:
    return Rate(amount, per_s=60, limit="requests", text="requests a minute", now=clock)


def refused(limited: Rate, caller: str) -> Busy:
    with pytest.raises(Busy) as caught:
        limited.take(caller)
    return caught.value


def test_the_amount_comes_back_with_time() -> None:
    clock = Clock()
    limited = rate(60, clock)
    for _ in range(60):
        limited.take("ada")
    error = refused(limited, "ada")
    assert error.reason == "RATE_LIMITED"
    assert error.retry_after_ms == 1000
    assert "60 requests a minute" in error.message
    limited.take("bob")
    clock.now_s += 1.5
    limited.take("ada")
    refused(limited, "ada")
    clock.now_s += 3600
    for _ in range(60):
        limited.take("ada")
    refused(limited, "ada")


def test_a_single_use_may_exceed_the_amount_and_is_made_up_for() -> None:
    clock = Clock()
    limited = rate(60, clock)
    limited.take("ada", 600)
    assert refused(limited, "ada").retry_after_ms == 541_000
    clock.now_s += 541
    limited.take("ada")


def test_some_callers_and_a_rate_of_0_are_not_limited() -> None:
    for limited, caller in ((rate(1, Clock()), None), (rate(0, Clock()), "ada")):
        for _ in range(1_000):
            limited.take(caller)


def test_the_table_of_callers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_MOST_CALLERS", 3)
    limited = rate(1, Clock())
    for caller in ("ada", "bob", "ada", "cat", "ada", "dan"):
        limited.use(caller, 10)
    assert set(limited._used) == {"ada", "cat", "dan"}


async def reason_of(call: object) -> str:
    """Returns the reason with which a call fails; empty: it succeeds."""
    try:
        await call  # type: ignore[misc]
    except grpc.aio.AioRpcError as error:
        found: AnimaError = error_from_rpc(error)
        assert found.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        return found.reason
    return ""


def remember(text: str) -> RememberRequest:
    return RememberRequest(
        user_id="ada", items=[Item(item_id="a", text=text, kind=ItemKind.ITEM_KIND_TURN)]
    )


async def test_a_user_who_calls_too_often_waits_and_another_does_not(tmp_path: Path) -> None:
    settings = MemorySettings(
        listen="127.0.0.1:0",
        data_dir=tmp_path,
        embedding_model="none",
        requests_per_minute=3,
        identity_keys_file=key_file(tmp_path),
    )
    async with serving(build(settings), settings) as server:
        await server.ready
        for user, reasons in (("ada", ["", "", "", "RATE_LIMITED"]), ("bob", [""])):
            async with open_channel(server.address, token=token(user, "person")) as channel:
                stub = MemoryServiceStub(channel)
                found = [await reason_of(stub.List(ListRequest(user_id=user))) for _ in reasons]
            assert found == reasons


async def test_what_a_user_stores_is_bounded(tmp_path: Path) -> None:
    settings = MemorySettings(
        listen="127.0.0.1:0",
        data_dir=tmp_path,
        embedding_model="none",
        documents_per_user=1,
        remembered_bytes_per_day=2_000,
    )

    async def add(stub: Any, owner: KnowledgeOwner, name: str) -> None:
        config = DocumentConfig(owner=owner, file_name=name)
        requests = [AddDocumentRequest(config=config), AddDocumentRequest(content=b"A word.")]
        async for _ in stub.AddDocument(iter(requests)):
            pass

    async with serving(build(settings), settings) as server:
        await server.ready
        async with open_channel(server.address) as channel:
            stub = MemoryServiceStub(channel)
            ada, persona = KnowledgeOwner(user_id="ada"), KnowledgeOwner(persona="anima")
            assert await reason_of(add(stub, ada, "one.txt")) == ""
            assert await reason_of(add(stub, ada, "two.txt")) == "TOO_MANY_DOCUMENTS"
            assert await reason_of(add(stub, persona, "one.txt")) == ""
            assert await reason_of(add(stub, persona, "two.txt")) == ""

            assert await reason_of(stub.Remember(remember("x" * 3_000))) == ""
            assert await reason_of(stub.Remember(remember("y"))) == "RATE_LIMITED"
