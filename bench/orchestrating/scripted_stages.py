# ruff: noqa: N802 (method names come from the protos)
"""Stages that only keep time, each in its own process, to measure the code between them.

`ANIMA_SCRIPTED_ROLE=llm python -m bench.orchestrating.scripted_stages`; roles are llm, tts and
avatar. Their behaviour is defined in bench/orchestrating/workload.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, Final

import anima.avatar.v1 as avatar
import anima.common.v1 as common
import anima.llm.v1 as llm
import anima.tts.v1 as tts
from bench.orchestrating.workload import FIRST_AUDIO_S, SENTENCE_S, written
from gateway.stages.spec import STAGES
from services.runtime.audio import chunk_sizes
from services.runtime.calls.streams import open_stream
from services.runtime.config.settings import ServiceSettings
from services.runtime.limits.progress import StreamLimits, same_limits
from services.runtime.server import Stage, run


class ScriptedSettings(ServiceSettings):
    """The settings of a scripted stage."""

    stage: ClassVar[str] = "scripted"
    capacity: int = 256
    role: str = "llm"
    """The stage that it plays: llm, tts or avatar."""


class ScriptedLlm(llm.LlmServiceServicer):
    """Writes the answer."""

    async def Generate(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        config, rest = await open_stream(requests)
        header = common.ChunkHeader(turn_id=config.turn_id, epoch=config.epoch)
        await context.write(
            llm.GenerateResponse(header=header, started=llm.Started(persona="ani", language="en"))
        )
        writing = asyncio.create_task(self._write(header, context))
        await _until_interrupted(writing, rest, context, llm.GenerateResponse)

    async def _write(self, header: common.ChunkHeader, context: Any) -> None:
        async for token in written():
            header.sequence += 1
            await context.write(
                llm.GenerateResponse(header=header, delta=llm.TextDelta(text=token))
            )
        finished = llm.Finished(reason=common.END_REASON_COMPLETE)
        await context.write(llm.GenerateResponse(header=header, finished=finished))

    async def ListPersonas(self, request: Any, context: Any) -> llm.ListPersonasResponse:
        persona = llm.Persona(name="ani", display_name="Ani", languages=["en"])
        return llm.ListPersonasResponse(personas=[persona])


class ScriptedTts(tts.TtsServiceServicer):
    """Speaks the answer."""

    async def Synthesize(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        config, rest = await open_stream(requests)
        started = tts.Started(voice="amy", sample_rate_hz=config.sample_rate_hz)
        await context.write(tts.SynthesizeResponse(started=started))
        texts: asyncio.Queue[tts.TextSegment | None] = asyncio.Queue()
        speaking = asyncio.create_task(self._speak(config, texts, context))

        async def others() -> AsyncIterator[Any]:
            async for request in rest:
                kind = request.WhichOneof("message")
                if kind == "interrupt":
                    yield request
                elif kind == "text":
                    texts.put_nowait(request.text)
                elif kind == "end_of_text":
                    texts.put_nowait(None)

        await _until_interrupted(speaking, others(), context, tts.SynthesizeResponse)

    async def _speak(
        self, config: Any, texts: asyncio.Queue[tts.TextSegment | None], context: Any
    ) -> None:
        made = 0
        rate = config.sample_rate_hz
        while (text := await texts.get()) is not None:
            header = common.ChunkHeader(
                turn_id=config.turn_id, epoch=config.epoch, segment=text.segment
            )
            await asyncio.sleep(FIRST_AUDIO_S)
            start, end = made, made + round(SENTENCE_S * rate)
            sizes = chunk_sizes(rate)
            while made < end:
                size = min(next(sizes), end - made)
                header.sequence += 1
                audio = common.AudioChunk(
                    header=header, start_sample=made, sample_rate_hz=rate, pcm=bytes(size * 2)
                )
                await context.write(tts.SynthesizeResponse(audio=audio))
                made += size
            samples = common.SampleSpan(start_sample=start, sample_count=made - start)
            ended = tts.SegmentEnd(
                header=header, samples=samples, reason=common.END_REASON_COMPLETE
            )
            await context.write(tts.SynthesizeResponse(segment_end=ended))

    async def ListVoices(self, request: Any, context: Any) -> tts.ListVoicesResponse:
        voice = tts.Voice(name="amy", languages=["en"], sample_rate_hz=24_000)
        return tts.ListVoicesResponse(voices=[voice])


class ScriptedAvatars(avatar.AvatarServiceServicer):
    """Only lists a face, so that the gateway's catalogue is complete."""

    async def ListAvatars(self, request: Any, context: Any) -> avatar.ListAvatarsResponse:
        return avatar.ListAvatarsResponse(avatars=[avatar.Avatar(name="ani")])


async def _until_interrupted(
    work: asyncio.Task[None], requests: AsyncIterator[Any], context: Any, response: Any
) -> None:
    async def interrupts() -> int:
        async for request in requests:
            if request.WhichOneof("message") == "interrupt":
                return int(request.interrupt.epoch)
        await asyncio.Event().wait()
        raise AssertionError("the wait ended unexpectedly")

    listening = asyncio.create_task(interrupts())
    try:
        await asyncio.wait([work, listening], return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            return
        epoch = listening.result()
        work.cancel()
        await asyncio.wait([work])
        await context.write(response(interrupted=common.Interrupted(epoch=epoch)))
    finally:
        work.cancel()
        listening.cancel()
        await asyncio.wait([work, listening])


_SERVICERS: Final[dict[str, Callable[[], Any]]] = {
    "llm": ScriptedLlm,
    "tts": ScriptedTts,
    "avatar": ScriptedAvatars,
}
ROLES: Final = tuple(_SERVICERS)
"""The stages that can be scripted, by the names of the stage table."""


def build(settings: ScriptedSettings) -> Stage:
    """Describes a scripted stage to the server."""

    spec = STAGES[settings.role]
    servicer = _SERVICERS[settings.role]()

    async def nothing() -> None:
        return

    return Stage(
        service=spec.health_service,
        add_to_server=lambda server: spec.add_to_server(servicer, server),
        warm_up=nothing,
        counted_methods=frozenset(),
        limits=same_limits(spec.health_service, StreamLimits()),
        close=nothing,
        draining=lambda: None,
    )


if __name__ == "__main__":
    run(build, ScriptedSettings)
