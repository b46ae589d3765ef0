"""pipecat-ai on our workload: a pipeline of a scripted model, a scripted voice and a sink.

`python -m bench.orchestrating.beside_pipecat REPEATS COUNT...` in `.cache/bench-env`. The worker
is pipecat's default one; the sink is a frame processor, so that nothing is paced.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import fields

from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.workers.runner import WorkerRunner

from bench.orchestrating.workload import FIRST_AUDIO_S, RATE_HZ, Heard, chunk_bytes, report, written


class ScriptedModel(LLMService):
    """Writes the answer to every context."""

    def __init__(self) -> None:
        nothing = dict.fromkeys((each.name for each in fields(LLMSettings)), None)
        nothing |= {"model": "scripted", "extra": {}, "filter_incomplete_user_turns": False}
        super().__init__(settings=LLMSettings(**nothing))

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        async for token in written():
            await self._push_llm_text(token)
        await self.push_frame(LLMFullResponseEndFrame())


class ScriptedVoice(TTSService):
    """Speaks every sentence."""

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await asyncio.sleep(FIRST_AUDIO_S)
        for size in chunk_bytes():
            yield TTSAudioRawFrame(bytes(size), RATE_HZ, 1, context_id=context_id)


class Sink(FrameProcessor):
    """Takes the audio."""

    def __init__(self, heard: Heard, done: asyncio.Event) -> None:
        super().__init__()
        self._heard, self._done = heard, done

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self._heard.take(len(frame.audio))
            if self._heard.done_s < float("inf"):
                self._done.set()
        await self.push_frame(frame, direction)


async def session() -> Heard:
    """Runs a conversation of one turn."""
    ready, done = asyncio.Event(), asyncio.Event()
    heard = Heard(asked_at=0.0)
    voice = ScriptedVoice(
        sample_rate=RATE_HZ,
        push_start_frame=True,
        push_stop_frames=True,
        settings=TTSSettings(model="scripted", voice="amy", language="en"),
    )
    worker = PipelineWorker(
        Pipeline([ScriptedModel(), voice, Sink(heard, done)]),
        params=PipelineParams(audio_out_sample_rate=RATE_HZ),
    )

    @worker.event_handler("on_pipeline_started")
    async def started(*_: object) -> None:
        ready.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await ready.wait()
    heard.asked_at = time.perf_counter()
    question = LLMContext(messages=[{"role": "user", "content": "Tell me a story."}])
    await worker.queue_frame(LLMContextFrame(question))
    await done.wait()
    await worker.queue_frame(EndFrame())
    await running
    return heard


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    asyncio.run(report(session))
