"""Opening a stream to a stage: which replica the session tries when the first one is no use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from anima.llm.v1 import llm_pb2 as llm
from anima.tts.v1 import tts_pb2 as tts
from gateway.stages.failure import StageFailed
from gateway.stages.opening import open_stream
from gateway.stages.route import ANSWERS, PERSONA, REPLICA_KEY, SESSION, Route
from gateway.stages.spec import AnswerKind
from testing.virtual_time import in_virtual_time

LLM = llm.GenerateRequest(config=llm.GenerateConfig(question="?"))
TTS = tts.SynthesizeRequest(config=tts.SynthesizeConfig(turn_id="t"))
STARTED = {
    "llm": llm.GenerateResponse(started=llm.Started()),
    "tts": tts.SynthesizeResponse(started=tts.Started()),
}
FULL = grpc.StatusCode.RESOURCE_EXHAUSTED
GONE = grpc.StatusCode.UNAVAILABLE
HANGS = "hangs"


class Call:
    """A call to a replica that starts, hangs or fails."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.over = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[Any]:
        if isinstance(self.outcome, grpc.StatusCode):
            nothing = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(self.outcome, nothing, nothing, details="refused")
        if self.outcome != HANGS:
            yield self.outcome
        await self.over.wait()

    async def write(self, request: Any, /) -> None:
        """Takes every request."""

    def cancel(self) -> bool:
        return True


class Stage:
    """A stage whose replicas give one outcome after the other; records the keys of the calls."""

    def __init__(self, name: str, *outcomes: Any) -> None:
        self.name = name
        self.keys: list[str] = []
        self.full_for_ms: list[int] = []
        self._outcomes = [*outcomes, STARTED[name]]

    def method(self, *, metadata: Any, wait_for_ready: bool) -> Call:
        """Begins a call."""
        assert wait_for_ready
        self.keys.append(dict(metadata)[REPLICA_KEY])
        return Call(self._outcomes.pop(0))

    async def open(self, route: Route, *, wait_for_place: bool = True) -> float:
        """Opens a stream; returns how long that took on the loop's clock, s."""
        began = asyncio.get_running_loop().time()
        stream = await open_stream(
            self.name,
            self.method,
            LLM if self.name == "llm" else TTS,
            route=route,
            timeout_ms=1000,
            wait_for_place=wait_for_place,
            on_full=self.full_for_ms.append,
        )
        await stream.close()
        return asyncio.get_running_loop().time() - began


def session() -> Route:
    return Route(session_id="s1", persona="anima", answers=AnswerKind.VIDEO)


def test_calls_say_whose_they_are() -> None:
    assert dict(session().metadata()) == {
        SESSION: "s1",
        PERSONA: "anima",
        ANSWERS: "video",
        REPLICA_KEY: "s1/0",
    }


@pytest.mark.parametrize(
    ("outcomes", "keys", "took_s"),
    [
        ((), ["s1/0"], 0.0),
        ((GONE,), ["s1/0", "s1/1"], 0.0),
        ((HANGS,), ["s1/0", "s1/1"], 0.5),
        # Another replica may have a place now; only then is a full stage waited for.
        ((FULL,), ["s1/0", "s1/1"], 0.0),
        ((FULL, FULL), ["s1/0", "s1/1", "s1/1"], 0.2),
        ((FULL, FULL, FULL), ["s1/0", "s1/1", "s1/1", "s1/1"], 0.4),
    ],
)
def test_a_session_moves_to_another_replica_and_stays_there(
    outcomes: tuple[Any, ...], keys: list[str], took_s: float
) -> None:
    async def main() -> None:
        route = session()
        stage = Stage("llm", *outcomes)
        assert await stage.open(route) == pytest.approx(took_s)
        assert stage.keys == keys
        later = Stage("llm")
        await later.open(route)
        assert later.keys == keys[-1:]

    in_virtual_time(main)


@pytest.mark.parametrize(("outcome", "took_s"), [(GONE, 0.0), (HANGS, 0.5), (FULL, 0.2)])
def test_a_stage_without_sessions_moves_nobody(outcome: Any, took_s: float) -> None:
    async def main() -> None:
        stage = Stage("tts", outcome)
        assert await stage.open(session()) == pytest.approx(took_s)
        assert stage.keys == ["s1/0", "s1/0"]

    in_virtual_time(main)


def test_a_full_stage_that_is_not_waited_for_refuses() -> None:
    async def main() -> None:
        stage = Stage("llm", FULL)
        with pytest.raises(StageFailed, match="refused"):
            await stage.open(session(), wait_for_place=False)
        assert stage.full_for_ms == [200]

    in_virtual_time(main)


def test_an_error_of_the_request_is_not_repeated() -> None:
    async def main() -> None:
        stage = Stage("llm", grpc.StatusCode.INVALID_ARGUMENT)
        with pytest.raises(StageFailed, match="refused"):
            await stage.open(session())
        assert stage.keys == ["s1/0"]

    in_virtual_time(main)
