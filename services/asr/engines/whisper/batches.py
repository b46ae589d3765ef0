"""Collects the jobs of all streams and transcribes those together that wait together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from services.asr.engines.whisper.model import Heard, Job, WhisperModel
from services.runtime.process.compute import Compute
from services.runtime.process.tasks import Tasks

_SIMILAR_FRAMES: Final = 200


@dataclass(eq=False)
class _Waiting:
    job: Job
    result: asyncio.Future[Heard]


class Batches:
    """Runs jobs in threads, in batches.

    A job starts at once if a thread is free; meanwhile others collect and go together next.
    Complete segments go before partial ones, since somebody waits for their answer.

    Args:
        model: Transcribes.
        workers: Batches at the same time.
        most: The size of a batch.
    """

    def __init__(self, model: WhisperModel, *, workers: int, most: int) -> None:
        self._model = model
        self._workers = workers
        self._most = most
        self._compute = Compute(threads=workers, name="asr-whisper")
        self._tasks = Tasks("whisper")
        self._working = 0
        self._waiting: list[_Waiting] = []

    async def run(self, job: Job) -> Heard:
        """Returns the result of a job. A caller that is cancelled no longer needs it."""
        waiting = _Waiting(job, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._working < self._workers:
            self._working += 1
            self._tasks.start(self._work(), name="whisper batches")
        try:
            return await waiting.result
        finally:
            job.abandoned = True
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    async def close(self) -> None:
        """Takes no more jobs; called after the last one."""
        await self._tasks.close()
        self._compute.close()

    async def _work(self) -> None:
        try:
            while batch := self._next():
                await self._transcribe(batch)
        finally:
            self._working -= 1

    async def _transcribe(self, batch: list[_Waiting]) -> None:
        jobs = [waiting.job for waiting in batch]
        try:
            heard = await self._compute.run(self._model.transcribe, jobs)
        except Exception as error:
            for waiting in batch:
                if not waiting.result.done():
                    waiting.result.set_exception(error)
        else:
            for waiting, result in zip(batch, heard, strict=True):
                if not waiting.result.done():
                    waiting.result.set_result(result)

    def _next(self) -> list[_Waiting]:
        """Takes the most urgent job and those that fit it."""
        if not self._waiting:
            return []
        first = max(self._waiting, key=lambda waiting: _urgency(waiting.job))
        batch = [waiting for waiting in self._waiting if _fits(waiting.job, first.job)]
        batch.remove(first)
        batch = [first, *batch][: self._most]
        self._waiting = [waiting for waiting in self._waiting if waiting not in batch]
        return batch


def _urgency(job: Job) -> bool:
    return job.final


def _fits(job: Job, first: Job) -> bool:
    """Returns whether a job may share the pass of another one.

    The pass is as wide as the longest recording, so much longer ones would delay it.
    """
    alike = (job.beam, job.final, job.transcribe)
    return (
        alike == (first.beam, first.final, first.transcribe)
        and job.frames <= first.frames + _SIMILAR_FRAMES
    )
