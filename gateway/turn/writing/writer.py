"""The text of an answer: recalls memories, runs the language model, feeds client and speech."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from anima.common.v1 import common_pb2 as common
from anima.llm.v1 import llm_pb2 as llm
from anima.memory.v1 import memory_pb2 as memory
from gateway import notices
from gateway.stages.failure import StageFailed, reopen_ms
from gateway.stages.mesh import Mesh
from gateway.turn.events import TurnEvents
from gateway.turn.part import Part
from gateway.turn.playout.gate import Gate
from gateway.turn.speaking.manner import changed, offered
from gateway.turn.state import TurnState
from gateway.turn.streams import TurnStreams
from gateway.turn.timing.spans import SpanLog, StageSpan
from gateway.turn.writing.captions import Captions
from gateway.turn.writing.recall import memories_of, recall_request
from gateway.turn.writing.segmenter import Segment, Segmenter
from services.runtime.errors import error_from_rpc

_MAX_SEGMENTS = 256
_MAX_ROUNDS = 3
"""How often the model is asked for one answer: each time it has called a tool, once more."""


class Writer(Part):
    """Writes one answer.

    Args:
        state: The answer in progress.
        mesh: The stages.
        streams: The streams of the turn.
        events: The reporter for failures.
        spans: When each stage worked.
        outbox: The destination of the text.

    Attributes:
        language: The language of the answer, known with its first text.
        segments: The segments to speak, None at the end.
    """

    def __init__(
        self,
        state: TurnState,
        *,
        mesh: Mesh,
        streams: TurnStreams,
        events: TurnEvents,
        spans: SpanLog,
        outbox: Gate,
    ) -> None:
        super().__init__()
        self.language: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.segments: asyncio.Queue[Segment | None] = asyncio.Queue(_MAX_SEGMENTS)
        self._state = state
        self._mesh = mesh
        self._streams = streams
        self._events = events
        self._spans = spans
        self._settings = mesh.settings
        self._answered_in = state.question.language
        self._segmenter = Segmenter()
        self._captions = Captions(state, events=events, outbox=outbox)

    async def write(self) -> None:
        """Recalls, writes, and ends the segments even when the model fails."""
        memories = await self._recall()
        span = self._spans.begin("llm")
        try:
            await self._generate(memories, span)
        except StageFailed as failure:
            self._events.fail(failure)
            await self._apologise()
        finally:
            span.end()
            self._captions.close()
        if not self.language.done():
            self.language.set_result(self._answered_in)
        self._captions.flush()
        await self._hand_on(self._segmenter.finish())
        await self.segments.put(None)

    async def _recall(self) -> Sequence[llm.Memory]:
        span = self._spans.begin("memory")
        request = recall_request(self._state.question)
        problem = "memory sent an undecodable message"
        try:
            with span.current():
                call = self._mesh.memory.Recall(
                    request,
                    timeout=self._settings.recall_timeout_ms / 1000,
                    metadata=self._state.question.route.metadata(),
                )
            recalled: memory.RecallResponse | None = await call
            if recalled is not None:  # grpc.aio returns None for an undecodable message
                if request.user_id and self._mesh.remember_queue.is_memory_full:
                    self._events.cannot_remember()
                return memories_of(recalled)
        except grpc.aio.AioRpcError as error:
            problem = str(error_from_rpc(error))
        finally:
            span.end()
        # Without a user there are no memories to miss, at most a persona's documents.
        if request.user_id:
            self._events.degrade("memory", problem)
        return ()

    async def _generate(self, memories: Sequence[llm.Memory], span: StageSpan) -> None:
        question = self._state.question
        config = llm.GenerateConfig(
            turn_id=question.turn_id,
            epoch=question.epoch,
            persona=question.persona.name,
            language=question.language,
            question=question.text,
            history=question.history,
            memories=memories,
            user_id=question.user_id,
            time_zone=question.time_zone,
            tools=offered(speech=question.speech, wanted=self._settings.speech_by_asking),
            pictures=[llm.Picture(jpeg=jpeg) for jpeg in question.pictures],
        )
        for _ in range(_MAX_ROUNDS):
            calls = await self._ask(llm.GenerateRequest(config=config), span)
            if not calls:
                return
            config.tool_results.extend(map(self._change, calls))

    async def _ask(self, request: llm.GenerateRequest, span: StageSpan) -> list[llm.ToolCall]:
        """Takes an answer of the model; returns its calls."""
        try:
            return await self._take_answer(self._mesh.llm.Generate, request, span)
        except StageFailed as failure:
            # Nothing was heard or read yet, so another model, or another replica, may still answer.
            if self._state.text or not self._mesh.may_help("llm", failure.error):
                raise
            self._state.question.route.move()
            return await self._take_answer(
                self._mesh.llm_fallback.Generate, request, span, timeout_ms=reopen_ms(failure.error)
            )

    def _change(self, call: llm.ToolCall) -> llm.ToolResult:
        """Changes how the face speaks, as the model asks."""
        state = self._state
        manner, result = changed(
            state.manner,
            call,
            language=self._answered_in,
            persona=state.question.persona,
            known_voices=state.question.known_voices,
        )
        if manner != state.manner:
            state.manner = manner
            self._events.change_manner(manner)
        return result

    async def _take_answer(
        self,
        method: Callable[..., Any],
        request: llm.GenerateRequest,
        span: StageSpan,
        *,
        timeout_ms: int | None = None,
    ) -> list[llm.ToolCall]:
        stream = await self._streams.open("llm", method, request, span=span, timeout_ms=timeout_ms)
        if stream.started is not None and stream.started.started.language:
            self._answered_in = stream.started.started.language
        calls: list[llm.ToolCall] = []

        async def take(response: llm.GenerateResponse) -> bool:
            if self._streams.is_stale("llm", response.header):
                return False
            event = response.WhichOneof("event")
            if event == "tool_call":
                calls.append(response.tool_call)
            if event == "delta":
                span.first_output()
                # Not earlier: a call may still change the voice.
                if not self.language.done():
                    self.language.set_result(self._answered_in)
                return not await self._add(response.delta.text)
            if event == "finished":
                self._state.sources = response.finished.sources
                if response.finished.reason == common.END_REASON_LENGTH:
                    self._state.reason = common.END_REASON_LENGTH
            return False

        silence_ms = self._settings.stages["llm"].silence_ms
        await stream.consume(take, silence_timeout_ms=silence_ms)
        if not stream.ended:  # the answer is as long as it may be
            await stream.close()
        return calls

    async def _apologise(self) -> None:
        """Ends the answer with an apology that it could not be finished."""
        state = self._state
        language = state.question.notice_language
        if not self.language.done():
            self.language.set_result(language)
        elif self.language.result():
            language = self.language.result()
        await self._hand_on(self._segmenter.finish())
        text = notices.apology(language)
        await self._add(f" {text}" if state.text else text)

    async def _add(self, text: str) -> bool:
        """Takes more text; returns False once the answer has reached its maximum length."""
        state = self._state
        room = self._settings.max_answer_chars - len(state.text)
        text = text[:room]
        await self._captions.add(text)
        if segments := self._segmenter.push(text):
            await self._hand_on(segments)
        if len(state.text) < self._settings.max_answer_chars:
            return True
        if state.failure is None:
            state.reason = common.END_REASON_LENGTH
        return False

    async def _hand_on(self, segments: Sequence[Segment]) -> None:
        if segments and self._state.question.speech:
            self._captions.flush()
            for segment in segments:
                await self.segments.put(segment)
