# ruff: noqa: N802 (method names come from the protos)
"""The scripted stages; the recogniser is in `recogniser`.

Each records its requests (`configs`, `interrupts` ...) and takes its pace and its failures from
public fields, which a test may change at any time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

import anima.avatar.v1 as avatar
import anima.common.v1 as common
import anima.llm.v1 as llm
import anima.memory.v1 as memory
import anima.tts.v1 as tts
from services.runtime.errors import AnimaError, InvalidRequest, NotFound, Unavailable
from testing.fakes.frames import FRAME_RATE_HZ, HEIGHT_PX, WIDTH_PX, clip
from testing.fakes.marks import header_of, marks_of
from testing.fakes.rendering import Renderer
from testing.fakes.script import GARBAGE, Fake, breakable

# A piece of an answer, or something to wait for before the next piece.
Piece = str | asyncio.Event
Send = Callable[[Any], Any]

VIDEO = common.VideoFormat(
    codec=common.VIDEO_CODEC_H264,
    width_px=WIDTH_PX,
    height_px=HEIGHT_PX,
    frame_rate_hz=FRAME_RATE_HZ,
)
LOUD = 8000


@dataclass(kw_only=True)
class FakeLlm(Fake, llm.LlmServiceServicer):
    """Answers with the pieces of `answer`, `interval_s` between them.

    A question in `calls` is answered with a call of the first tool, with those arguments, until its
    result is there.

    Attributes:
        prefills: What it was asked to read before a question; `prefill_s` is how long that takes.
    """

    answer: Sequence[Piece] = ("This is the first clause,", " and this is the rest.", " Bye now.")
    answers: dict[str, Sequence[Piece]] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)
    interval_s: float = 0.0
    language: str = "en"
    stuck: bool = False
    sources: Sequence[llm.Source] = (
        llm.Source(kind=llm.SOURCE_KIND_CORPUS, name="hello", score=0.9),
    )
    prefills: list[llm.GenerateConfig] = field(default_factory=list)
    prefills_open: int = 0
    prefill_s: float = 0.0
    refuse_prefill: AnimaError | None = None

    async def Prefill(self, request: Any, context: Any) -> llm.PrefillResponse:
        if self.refuse_prefill is not None:
            raise self.refuse_prefill
        self.prefills.append(request.config)
        self.prefills_open += 1
        try:
            await asyncio.sleep(self.prefill_s)
        finally:
            self.prefills_open -= 1
        return llm.PrefillResponse(read=True)

    @breakable
    async def Generate(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        config, rest = await self.opened(requests)

        def header(number: int) -> common.ChunkHeader:
            return common.ChunkHeader(turn_id=config.turn_id, epoch=config.epoch, sequence=number)

        async def work() -> None:
            started = llm.Started(persona="ani", language=config.language or self.language)
            await context.write(llm.GenerateResponse(header=header(1), started=started))
            arguments = self.calls.get(config.question)
            if arguments is not None and config.tools and not config.tool_results:
                call = llm.ToolCall(
                    id="call-1", name=config.tools[0].name, arguments_json=arguments
                )
                await context.write(llm.GenerateResponse(header=header(2), tool_call=call))
                done = llm.Finished(reason=common.END_REASON_COMPLETE)
                await context.write(llm.GenerateResponse(header=header(3), finished=done))
                return
            text = ""
            for number, piece in enumerate(self.answers.get(config.question, self.answer), 2):
                if isinstance(piece, asyncio.Event):
                    await piece.wait()
                    continue
                await asyncio.sleep(self.interval_s)
                delta = llm.TextDelta(text=piece, start_char=len(text))
                text += piece
                await context.write(llm.GenerateResponse(header=header(number), delta=delta))
            if self.stuck:
                await asyncio.Event().wait()
            finished = llm.Finished(reason=common.END_REASON_COMPLETE, sources=self.sources)
            await context.write(llm.GenerateResponse(header=header(99), finished=finished))

        epoch = await self.interruptible(work(), rest, lambda _: None)
        if epoch is not None:
            interrupted = common.Interrupted(epoch=epoch)
            await context.write(llm.GenerateResponse(interrupted=interrupted))

    async def ListPersonas(self, request: Any, context: Any) -> llm.ListPersonasResponse:
        persona = llm.Persona(
            name="ani",
            display_name="Ani",
            languages=["en", "zh"],
            voices=[
                llm.PersonaVoice(language="en", voices=["amy"], rate_percent=110),
                llm.PersonaVoice(language="zh", voices=["mei"]),
            ],
            avatar="ani",
        )
        return llm.ListPersonasResponse(personas=[persona])

    async def DescribeEngine(self, request: Any, context: Any) -> llm.DescribeEngineResponse:
        return llm.DescribeEngineResponse(engine=common.EngineInfo(name="scripted"))


@dataclass(kw_only=True)
class FakeMemory(Fake, memory.MemoryServiceServicer):
    """Recalls `recalled`, or with `garbage` an invalid message, and keeps remembered items.

    With `refuse_remember` nothing is kept: that error is the answer. It has the `facts` about each
    user, and documents with the `titles`.
    """

    recalled: Sequence[str] = ()
    delay_s: float = 0.0
    garbage: bool = False
    facts: Sequence[str] = ()
    titles: Sequence[str] = ()
    refuse_remember: AnimaError | None = None
    requests: list[memory.RecallRequest] = field(default_factory=list)
    remembered: asyncio.Queue[memory.RememberRequest] = field(default_factory=asyncio.Queue)

    async def Recall(self, request: Any, context: Any) -> memory.RecallResponse:
        self.requests.append(request)
        if self.refuse is not None:
            raise self.refuse
        await asyncio.sleep(self.delay_s)
        if self.garbage:
            return cast(memory.RecallResponse, GARBAGE)
        items = [memory.Item(text=text, speaker=memory.SPEAKER_USER) for text in self.recalled]
        return memory.RecallResponse(
            items=[memory.RecalledItem(item=item, score=0.8) for item in items]
        )

    async def Remember(self, request: Any, context: Any) -> memory.RememberResponse:
        if self.refuse_remember is not None:
            raise self.refuse_remember
        self.remembered.put_nowait(request)
        return memory.RememberResponse(item_ids=[item.item_id for item in request.items])

    async def List(self, request: Any, context: Any) -> memory.ListResponse:
        if self.refuse is not None:
            raise self.refuse
        facts = [memory.Fact(subject="user", attribute="a", value=value) for value in self.facts]
        return memory.ListResponse(items=[memory.Item(fact=fact) for fact in facts])

    async def ListDocuments(self, request: Any, context: Any) -> memory.ListDocumentsResponse:
        if self.refuse is not None:
            raise self.refuse
        documents = [memory.Document(title=title) for title in self.titles]
        return memory.ListDocumentsResponse(documents=documents)

    async def DescribeEngine(self, request: Any, context: Any) -> memory.DescribeEngineResponse:
        return memory.DescribeEngineResponse(
            engine=common.EngineInfo(name="scripted"), clock_unix_ns=time.time_ns()
        )


@dataclass(kw_only=True)
class FakeTts(Fake, tts.TtsServiceServicer):
    """Speaks each character for `ms_per_char`; a word is a tone whose pitch encodes the segment."""

    ms_per_char: int = 20
    chunk_delay_s: float = 0.0
    fail_after_chunks: int | None = None
    fail_with: AnimaError | None = None
    end_after_segments: int = 1_000
    segments: list[str] = field(default_factory=list)
    made: asyncio.Queue[int] = field(default_factory=asyncio.Queue)

    @breakable
    async def Synthesize(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        config, rest = await self.opened(requests)
        rate = config.sample_rate_hz
        queue: asyncio.Queue[tts.TextSegment | None] = asyncio.Queue()
        made = number = 0

        def take(request: tts.SynthesizeRequest) -> None:
            kind = request.WhichOneof("message")
            queue.put_nowait(request.text if kind == "text" else None)

        async def work() -> None:
            nonlocal made, number
            started = tts.Started(voice="amy", sample_rate_hz=rate)
            await context.write(tts.SynthesizeResponse(started=started))
            while (segment := await queue.get()) is not None:
                if len(self.segments) >= self.end_after_segments:
                    raise Unavailable("the voice is gone")
                number += 1
                if segment.segment != number:
                    raise InvalidRequest(f"text.segment: {segment.segment} is not {number}")
                self.segments.append(segment.text)
                start = made
                async for response, samples in self._speak(config, segment, made):
                    await context.write(response)
                    made += samples
                end = tts.SegmentEnd(
                    header=header_of(config, segment.segment),
                    samples=common.SampleSpan(start_sample=start, sample_count=made - start),
                    reason=common.END_REASON_COMPLETE,
                )
                await context.write(tts.SynthesizeResponse(segment_end=end))

        epoch = await self.interruptible(work(), rest, take)
        if epoch is not None:
            interrupted = common.Interrupted(epoch=epoch, produced_samples=made)
            await context.write(tts.SynthesizeResponse(interrupted=interrupted))

    async def _speak(
        self, config: tts.SynthesizeConfig, segment: tts.TextSegment, made: int
    ) -> AsyncIterator[tuple[tts.SynthesizeResponse, int]]:
        rate = config.sample_rate_hz
        total = len(segment.text) * self.ms_per_char * rate // 1000
        marks = marks_of(config, segment, made, total)
        yield tts.SynthesizeResponse(marks=marks), 0
        times = np.arange(total) / rate
        pcm = (LOUD * np.sin(2 * np.pi * (200 + 100 * segment.segment) * times)).astype("<i2")
        header = header_of(config, segment.segment)
        done = 0
        for number in range(10_000):
            size = rate * (20 if number == 0 else 100) // 1000
            piece = pcm[done : done + size]
            if not len(piece):
                return
            if self.fail_with is not None and number == self.fail_after_chunks:
                raise self.fail_with
            await asyncio.sleep(self.chunk_delay_s)
            header.sequence += 1
            audio = common.AudioChunk(
                header=header, start_sample=made + done, sample_rate_hz=rate, pcm=piece.tobytes()
            )
            yield tts.SynthesizeResponse(audio=audio), len(piece)
            done += len(piece)
            self.made.put_nowait(made + done)

    async def ListVoices(self, request: Any, context: Any) -> tts.ListVoicesResponse:
        voices = [
            tts.Voice(name="amy", languages=["en"], sample_rate_hz=22050, gender=tts.GENDER_FEMALE),
            tts.Voice(name="bob", languages=["en"], sample_rate_hz=22050, gender=tts.GENDER_MALE),
            tts.Voice(name="mei", languages=["zh"], sample_rate_hz=22050),
        ]
        return tts.ListVoicesResponse(voices=voices)

    async def DescribeEngine(self, request: Any, context: Any) -> tts.DescribeEngineResponse:
        return tts.DescribeEngineResponse(engines=[common.EngineInfo(name="scripted")])


@dataclass
class IdleLoopWork:
    """The making of idle loops, which a test can hold up.

    Attributes:
        started: How often it was started.
        began: Set when it was started.
        cancelled: Set when it was cancelled.
        go: Clear: it waits.
    """

    started: int = 0
    began: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.go.set()

    async def make(self) -> None:
        """Waits until the test lets it end."""
        self.started += 1
        self.began.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@dataclass(kw_only=True)
class FakeAvatar(Fake, avatar.AvatarServiceServicer):
    """Returns the audio with real encoded frames: first one frame, then three per message.

    After `ended_after_media` messages it reports that everything has been rendered, whatever was
    sent.
    """

    fail_with: AnimaError | None = None
    fail_after_media: int = 0
    fail_times: int = 1_000
    ended_after_media: int = 1_000_000
    marks: list[common.Marks] = field(default_factory=list)
    frame_delay_s: float = 0.0
    kept_ms: int = 0
    received_samples: int = 0
    idle_loops: IdleLoopWork = field(default_factory=IdleLoopWork)

    @breakable
    async def Render(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        config, rest = await self.opened(requests)
        queue: asyncio.Queue[common.AudioChunk | None] = asyncio.Queue()
        renderer = Renderer(config, kept_ms=self.kept_ms)

        def take(request: avatar.RenderRequest) -> None:
            kind = request.WhichOneof("message")
            if kind == "audio":
                self.received_samples += len(request.audio.pcm) // 2
                queue.put_nowait(request.audio)
            elif kind == "marks":
                self.marks.append(request.marks)
            elif kind == "end_of_audio":
                queue.put_nowait(None)

        async def work() -> None:
            started = avatar.Started(avatar=config.avatar, video=VIDEO)
            await context.write(avatar.RenderResponse(started=started))
            ended = False
            while not ended:
                chunk = await queue.get()
                ended = chunk is None
                for media in renderer.add(b"" if chunk is None else chunk.pcm, last=ended):
                    failing = self.fail_with if self.fail_times > 0 else None
                    if failing is not None and media.header.sequence > self.fail_after_media:
                        self.fail_times -= 1
                        raise failing
                    await asyncio.sleep(self.frame_delay_s)
                    await context.write(avatar.RenderResponse(media=media))
                    if media.header.sequence >= self.ended_after_media:
                        ended = True
                        break
            end = avatar.Ended(
                sample_count=renderer.sent, frame_count=renderer.frames, idle_frame=7
            )
            await context.write(avatar.RenderResponse(ended=end))

        epoch = await self.interruptible(work(), rest, take)
        if epoch is not None:
            interrupted = common.Interrupted(epoch=epoch, produced_samples=renderer.sent)
            await context.write(avatar.RenderResponse(interrupted=interrupted))

    async def GetIdleLoop(self, request: Any, context: Any) -> None:  # type: ignore[override]
        if request.avatar not in ("", "ani"):
            raise NotFound(f"avatar: {request.avatar!r} is not known; there are: ani")
        await self.idle_loops.make()
        step = 48_000 // FRAME_RATE_HZ
        frames = [
            common.VideoFrame(start_sample=i * step, frame_number=i + 1, key_frame=key, data=data)
            for i, (key, data) in enumerate(clip()[:50])
        ]
        await context.write(avatar.GetIdleLoopResponse(video=VIDEO, frames=frames[:25]))
        await context.write(avatar.GetIdleLoopResponse(frames=frames[25:]))

    async def ListAvatars(self, request: Any, context: Any) -> avatar.ListAvatarsResponse:
        ani = avatar.Avatar(name="ani", display_name="Ani", video=VIDEO)
        return avatar.ListAvatarsResponse(avatars=[ani])

    async def DescribeEngine(self, request: Any, context: Any) -> avatar.DescribeEngineResponse:
        return avatar.DescribeEngineResponse(engine=common.EngineInfo(name="scripted"))
