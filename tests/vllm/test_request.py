"""When the text of a request is sent, in virtual time: vLLM's own merging, a scripted schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.output_processor import RequestOutputCollector

from services.llm.engines.vllm.pace import Pace
from services.llm.engines.vllm.request import EngineRequest
from services.runtime.process import event_loop
from testing.virtual_time import in_virtual_time


class ScriptedEngine:
    """Writes texts when they are due, the last one with the end."""

    errored = False

    def __init__(self, script: Sequence[tuple[float, str]]) -> None:
        self._script = script
        self._writing: asyncio.Task[None] | None = None

    async def add_request(self, request_id: str, prompt: object) -> RequestOutputCollector:
        collector = RequestOutputCollector(RequestOutputKind.DELTA, request_id)
        self._writing = asyncio.create_task(self._write(collector))
        return collector

    async def abort(self, request_id: str) -> None:
        assert self._writing is not None
        self._writing.cancel()

    async def _write(self, collector: RequestOutputCollector) -> None:
        loop = asyncio.get_running_loop()
        for due_s, text in self._script:
            await asyncio.sleep(due_s - loop.time())
            collector.put(delta(text, finished=(due_s, text) == self._script[-1]))


def delta(text: str, *, finished: bool) -> RequestOutput:
    reason = "stop" if finished else None
    written = CompletionOutput(0, text, [1], None, None, finish_reason=reason)
    return RequestOutput("r", None, [1], None, [written], finished)


async def given(script: Sequence[tuple[float, str]], merge_s: float) -> list[tuple[float, str]]:
    """Returns when each text was sent, merged after the first one."""

    async def main() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        found = []
        engine: Any = ScriptedEngine(script)
        async with EngineRequest(engine, "r", prompt={}) as request:
            async for output in request.outputs():
                found.append((round(loop.time(), 3), output.outputs[0].text))
                request.merge_s = merge_s
        return found

    # in a thread: the main one's loop belongs to the engines of the other tests
    return await asyncio.to_thread(in_virtual_time, main)


async def test_without_merging_each_text_leaves_at_once() -> None:
    script = [(0.01, "One "), (0.02, "two "), (0.03, "three.")]
    assert await given(script, 0.0) == script


async def test_text_leaves_at_ticks_a_clause_at_the_finer_ones_and_the_end_at_once() -> None:
    words = [(0.01, "One "), (0.02, "two "), (0.03, "three "), (0.11, "four "), (0.13, "five.")]
    rest = [(0.16, " Six "), (0.17, "seven "), (0.23, "eight "), (0.27, "nine")]
    assert await given([*words, *rest], 0.1) == [
        (0.01, "One "),
        (0.1, "two three "),
        (0.15, "four five."),
        (0.2, " Six seven "),
        (0.27, "eight nine"),
    ]


async def test_a_model_that_writes_slower_than_the_ticks_is_not_held_back() -> None:
    script = [(0.05, "One "), (0.31, "two "), (0.62, "three "), (0.93, "four")]
    assert await given(script, 0.1) == script


async def test_an_error_of_the_engine_does_not_wait_for_a_tick() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        engine: Any = ScriptedEngine([(0.01, "One "), (1.0, "two")])
        async with EngineRequest(engine, "r", prompt={}) as request:
            outputs = request.outputs()
            await anext(outputs)
            request.merge_s = 0.5
            loop.call_at(0.12, lambda: request._collector.put(RuntimeError("dead")))
            with pytest.raises(RuntimeError, match="dead"):
                await anext(outputs)
        return loop.time()

    assert await asyncio.to_thread(in_virtual_time, main) == pytest.approx(0.12)


async def test_a_tick_that_is_almost_due_on_the_loop_of_servers() -> None:
    async def main() -> None:
        engine: Any = ScriptedEngine([])
        request = EngineRequest(engine, "r", prompt={})
        # uvloop's handle of a timer that is due within half a millisecond has no time.
        while request._timer is None:
            request._given_s = asyncio.get_running_loop().time()
            request._tell_after(0.0004)
        request._tell_after(0.0002)
        await asyncio.wait_for(request._news.wait(), 10)

    await asyncio.to_thread(event_loop.run, main())


async def test_a_fast_model_hands_out_tokens_together_and_a_slow_one_each() -> None:
    pace = Pace()
    assert pace.stream_interval() == 1  # nothing is known yet
    for _ in range(50):
        pace.note(64, 64 * 0.002)
    assert pace.stream_interval() in (3, 4)
    for _ in range(50):
        pace.note(64, 64 * 1e-6)
    assert pace.stream_interval() == 16
    for _ in range(50):
        pace.note(64, 64 * 0.03)
    assert pace.stream_interval() == 1
    pace.note(0, 5.0)  # an answer of one token has no pace
    assert pace.stream_interval() == 1
