"""Jobs of several streams on a model that works when the test says so."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from services.asr.engine import Hypothesis
from services.asr.engines.whisper.batches import Batches
from services.asr.engines.whisper.model import Heard, Job
from services.runtime.errors import Unavailable


class SlowModel:
    """Hears the number in the first sample of a recording, once the test lets it."""

    def __init__(self) -> None:
        self.passes: list[list[int]] = []
        self.started: queue.Queue[Sequence[Job]] = queue.Queue()
        self.go = threading.Semaphore(0)
        self.fail_with: Exception | None = None

    def transcribe(self, jobs: Sequence[Job]) -> list[Heard]:
        self.started.put(jobs)
        assert self.go.acquire(timeout=30)
        if self.fail_with is not None:
            raise self.fail_with
        numbers = [int(job.samples[0]) for job in jobs]
        self.passes.append(numbers)
        return [
            Heard(language="en", certainty=1.0, hypothesis=Hypothesis(text=str(number)))
            for number in numbers
        ]


def job(number: int, *, seconds: float = 1.0, final: bool = True, beam: int = 1) -> Job:
    samples = np.full(round(seconds * 16_000), number, np.int16)
    return Job(samples=samples, languages=("en",), beam=beam, final=final)


@asynccontextmanager
async def batches(workers: int = 1, most: int = 8) -> AsyncIterator[tuple[Batches, SlowModel]]:
    model = SlowModel()
    running = Batches(model, workers=workers, most=most)  # type: ignore[arg-type]
    try:
        yield running, model
    finally:
        model.go.release(1_000)
        await running.close()


async def started(model: SlowModel) -> Sequence[Job]:
    """Waits for the next pass to start."""
    return await asyncio.to_thread(model.started.get, timeout=30)


async def test_jobs_that_wait_at_the_same_time_go_together() -> None:
    async with batches() as (running, model):
        async with asyncio.TaskGroup() as group:
            first = group.create_task(running.run(job(1)))
            await started(model)
            others = [group.create_task(running.run(job(number))) for number in (2, 3, 4)]
            await asyncio.sleep(0)
            model.go.release(2)
        assert first.result().hypothesis.text == "1"
        assert [other.result().hypothesis.text for other in others] == ["2", "3", "4"]
        assert model.passes == [[1], [2, 3, 4]]


async def test_final_results_go_first_and_not_with_partial_or_much_longer_ones() -> None:
    async with batches() as (running, model):
        async with asyncio.TaskGroup() as group:
            group.create_task(running.run(job(1)))
            await started(model)
            waiting = (job(2, final=False), job(3), job(4, seconds=20.0), job(5), job(6, beam=5))
            for one in waiting:
                group.create_task(running.run(one))
            await asyncio.sleep(0)
            model.go.release(5)
        assert model.passes == [[1], [3, 5], [4], [6], [2]]


async def test_a_batch_has_at_most_its_size() -> None:
    async with batches(most=2) as (running, model):
        async with asyncio.TaskGroup() as group:
            group.create_task(running.run(job(1)))
            await started(model)
            for number in (2, 3, 4):
                group.create_task(running.run(job(number)))
            await asyncio.sleep(0)
            model.go.release(3)
        assert model.passes == [[1], [2, 3], [4]]


async def test_a_job_that_nobody_waits_for_any_more_is_not_started() -> None:
    async with batches() as (running, model):
        first = asyncio.create_task(running.run(job(1)))
        await started(model)
        second = asyncio.create_task(running.run(job(2)))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        model.go.release(2)
        await first
        assert (await running.run(job(3))).hypothesis.text == "3"
        assert model.passes == [[1], [3]]


async def test_a_job_that_runs_is_told_that_it_is_not_needed() -> None:
    async with batches() as (running, model):
        one = asyncio.create_task(running.run(job(1)))
        (given,) = await started(model)
        assert not given.abandoned
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        assert given.abandoned


async def test_two_workers_run_two_passes_at_once() -> None:
    async with batches(workers=2) as (running, model):
        async with asyncio.TaskGroup() as group:
            group.create_task(running.run(job(1)))
            await started(model)
            group.create_task(running.run(job(2)))
            await started(model)
            model.go.release(2)
        assert sorted(model.passes) == [[1], [2]]


async def test_a_pass_that_fails_fails_its_jobs_alone() -> None:
    async with batches() as (running, model):
        model.fail_with = Unavailable("no memory")
        model.go.release()
        with pytest.raises(Unavailable, match="no memory"):
            await running.run(job(1))
        model.fail_with = None
        model.go.release()
        assert (await running.run(job(2))).hypothesis.text == "2"


async def test_a_worker_that_has_just_ended_loses_no_job() -> None:
    async with batches() as (running, model):
        model.go.release(300)
        for number in range(1, 100):
            assert (await running.run(job(number))).hypothesis.text == str(number)
