"""A turn: one question and its answer, with a single place that stops all of it.

The parts run concurrently, each in a task, and hand their output on:

    Writer   memories and language model; its segments go through a bounded queue to
    Speaker  speech synthesis; its marks and audio go into a `SpeechSink`, which is
    Face     the talking head; its media goes through a bounded queue to
    Player   playout, which sends media and marks when they are due

A part that is behind holds back its upstream parts. They share `TurnState` (data), `TurnStreams`
(the calls to the stages) and `TurnEvents` (reports to the client other than text and media).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from gateway import metrics
from gateway.stages.mesh import Mesh
from gateway.turn.events import TurnEvents
from gateway.turn.face import Face
from gateway.turn.playout.gate import Gate
from gateway.turn.playout.heard import Heard
from gateway.turn.playout.outbox import Outbox
from gateway.turn.playout.player import Player
from gateway.turn.playout.schedule import Schedule
from gateway.turn.question import Question
from gateway.turn.speaking.manner import Manner
from gateway.turn.speaking.speaker import Speaker
from gateway.turn.state import TurnState
from gateway.turn.streams import TurnStreams
from gateway.turn.timing.spans import SpanLog
from gateway.turn.writing.writer import Writer
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import Tasks
from text.normal import normal


@dataclass(frozen=True, kw_only=True)
class TurnOutcome:
    """The result of a turn for history and memory.

    Attributes:
        turn_id: The turn.
        question: The question of the person.
        heard_text: The part of the answer that the person has heard; may be empty.
        quotes_document: True if the answer came from a document.
        face_late_s: The largest delay of the face, seconds.
        face_lost: True if the answer went on without video.
        sent_s: The length of the speech that was sent, seconds.
        begun_ns: When the turn began, on the clock of `time.monotonic_ns`.
        manner: How the face speaks from now on; None: as before.
        pictures: What the person showed with the question, JPEG files.
    """

    turn_id: str
    question: str
    heard_text: str
    quotes_document: bool = False
    face_late_s: float = 0.0
    face_lost: bool = False
    sent_s: float = 0.0
    begun_ns: int = field(default_factory=time.monotonic_ns)
    manner: Manner | None = None
    pictures: Sequence[bytes] = ()


class Turn:
    """Answers one question.

    Args:
        question: The question and how to answer it.
        mesh: The stages.
        outbox: Where events go.
        on_end: Called once, as soon as the turn is over and before its last event.
        speculative: The question is a guess: nothing leaves until `commit`, and `discard` drops the
            answer without a trace.
    """

    def __init__(
        self,
        question: Question,
        *,
        mesh: Mesh,
        outbox: Outbox,
        on_end: Callable[[TurnOutcome], None],
        speculative: bool = False,
    ) -> None:
        settings = mesh.settings
        self._mesh = mesh
        self._client = outbox
        self._on_end = on_end
        self._speculative = speculative
        self._state = state = TurnState(question=question, manner=question.manner)
        self._outbox = Gate(outbox, is_open=not speculative)
        self._spans = SpanLog(turn_id=question.turn_id, asked_at=question.asked_at)
        self._schedule = Schedule(
            sample_rate_hz=settings.sample_rate_hz,
            lead_ms=settings.lead_ms,
            lookahead_ms=settings.lookahead_ms,
            paced=question.paced,
        )
        self._events = TurnEvents(state, self._outbox)
        self._streams = TurnStreams(
            state, settings=settings, spans=self._spans, stage_is_full=mesh.overload.report
        )
        self._heard = Heard(state, schedule=self._schedule, sample_rate_hz=settings.sample_rate_hz)
        self._speaker: Speaker | None = None
        self._tasks = Tasks("turn")
        self._work: asyncio.Task[None] | None = None
        self._over = False
        self._ended = False
        self._heard_text = ""
        self._held_at: float | None = None
        self._silence_us = 0
        self._begun_ns = time.monotonic_ns()

    @property
    def turn_id(self) -> str:
        """The id of the turn."""
        return self._state.question.turn_id

    @property
    def over(self) -> bool:
        """True once the turn produces nothing more; its last events may still follow."""
        return self._over

    @property
    def ended(self) -> bool:
        """True once the last event of the turn has been posted."""
        return self._ended

    @property
    def spoken(self) -> bool:
        """True if the question was spoken, not typed."""
        return self._state.question.spoken

    @property
    def work(self) -> asyncio.Task[None]:
        """The task that answers, once the turn has started; it is done after `turn_ended`."""
        if self._work is None:
            raise RuntimeError("the turn has not been started")
        return self._work

    def start(self) -> None:
        """Starts the answer."""
        question = self._state.question
        if not self._speculative:
            self._announce(self._outbox)
        self._work = self._tasks.start(self._run(), name=f"turn {question.turn_id}")

    def answers(self, text: str) -> bool:
        """Returns whether a turn that was started on a guess can answer a question."""
        question = self._state.question
        return self._state.failure is None and normal(question.text) == normal(text)

    def commit(self, text: str, *, asked_at: float) -> None:
        """Confirms a turn that was started on a guess: its output so far is sent now.

        Args:
            text: The question.
            asked_at: The end of the question on the loop's clock, seconds.
        """
        state = self._state
        state.question = replace(state.question, text=text, asked_at=asked_at)
        self._spans.asked_at = asked_at
        self._announce(self._client)
        self._outbox.open()

    async def discard(self) -> None:
        """Drops a turn that was started on a guess: no event, no history, no memory."""
        self._over = True
        await self._cancel()
        await self._streams.close()
        self._spans.finish("discarded")

    def playback(self, report: pb.PlaybackReport) -> None:
        """Processes a playback report of the client."""
        self._heard.report(report)

    def hold(self) -> None:
        """Pauses playout, here and at the client."""
        self._schedule.hold()
        self._held_at = asyncio.get_running_loop().time()
        if self._state.question.speech:
            self._events.pause(self._heard.samples())

    def resume(self) -> None:
        """Resumes playout where it was paused."""
        if self._held_at is None:
            return
        held_s = self._schedule.go_on()
        self._held_at = None
        if self._state.question.speech and not self._over:
            self._events.resume(held_s)

    def say_quality(self, level: pb.VideoLevel.ValueType) -> None:
        """Reports the video level of the answer to the client."""
        question = self._state.question
        rate_hz = question.video.frame_rate_hz if question.face else 0
        self._events.quality(level, rate_hz)

    def is_ending(self, within_s: float) -> bool:
        """Returns whether the whole answer is made and at most `within_s` of it is left to play."""
        schedule = self._schedule
        left = schedule.sent_samples - schedule.played_samples()
        made = self._speaker is not None and self._speaker.finished
        return made and left <= within_s * self._mesh.settings.sample_rate_hz

    @property
    def unheard(self) -> bool:
        """True if nothing of the answer has been heard so far."""
        state = self._state
        return not (self._heard.text(complete=False) if state.question.speech else state.text)

    @property
    def heard_text(self) -> str:
        """The part of the answer that the person has heard so far."""
        return self._heard_text if self._over else self._heard.text(complete=False)

    async def interrupt(self, epoch: int, *, cause_at: float) -> None:
        """Stops every stage and reports it to the client; does nothing if the turn is over.

        Args:
            epoch: The new epoch of the session.
            cause_at: When the person began to speak or gave the command, on the loop's clock.
        """
        if self._over:
            return
        self._over = True
        asked_at = asyncio.get_running_loop().time()
        state = self._state
        # Before the first await, so that the turn is remembered even if the client leaves while the
        # stages confirm.
        self._leave(self._heard.text(complete=False))
        dropped = self._outbox.drop_below(epoch)
        state.stale += dropped
        metrics.stale_dropped("client", dropped)
        silent_at = asyncio.get_running_loop().time() if self._held_at is None else self._held_at
        self._silence_us = max(1, round((silent_at - cause_at) * 1e6))
        metrics.SILENCE_SECONDS.observe(self._silence_us / 1e6)
        await self._cancel()
        stages = await self._streams.stop(epoch)
        metrics.STOP_SECONDS.observe(asyncio.get_running_loop().time() - asked_at)
        header = common.ChunkHeader(turn_id=self.turn_id, epoch=epoch)
        interrupted = pb.TurnInterrupted(header=header, stages=stages, heard_text=self._heard_text)
        self._outbox.post(pb.ConverseResponse(turn_interrupted=interrupted))
        state.reason = common.END_REASON_INTERRUPTED
        self._end(header)
        await self._streams.close()

    async def abandon(self) -> None:
        """Cancels everything because the client has gone; the heard part still goes to the memory.

        Also finishes an `interrupt` that was itself cancelled.
        """
        if not self._over:
            self._over = True
            self._leave(self._heard.text(complete=False))
        await self._cancel()
        if not self._ended:
            self._state.reason = common.END_REASON_INTERRUPTED
            self._end(common.ChunkHeader(turn_id=self.turn_id))
        await self._streams.close()

    def _announce(self, outbox: Gate | Outbox) -> None:
        question = self._state.question
        started = pb.TurnStarted(header=self._events.header(), question=question.text)
        outbox.post(pb.ConverseResponse(turn_started=started))
        if question.spoken:
            self._spans.begin("asr", started_at=question.asked_at).end()

    async def _run(self) -> None:
        try:
            await self._produce()
        except Exception as fault:
            # The session must survive, and the person must not wait for ever.
            self._events.break_off(fault)
            await self._outbox.until_open()
        if self._over:
            return
        self._over = True
        failed = self._state.reason == common.END_REASON_ERROR
        self._leave(self._heard.text(complete=not failed))
        self._end(self._events.header())
        await self._streams.close()

    async def _produce(self) -> None:
        state, mesh = self._state, self._mesh
        streams, events, spans = self._streams, self._events, self._spans
        schedule, outbox = self._schedule, self._outbox
        writer = Writer(
            state, mesh=mesh, streams=streams, events=events, spans=spans, outbox=outbox
        )
        async with asyncio.TaskGroup() as group:
            writer.start(group, writer.write())
            if state.question.speech:
                player = Player(
                    state,
                    events=events,
                    outbox=outbox,
                    schedule=schedule,
                    spans=spans,
                    settings=mesh.settings,
                )
                face = Face(
                    state,
                    player=player,
                    mesh=mesh,
                    streams=streams,
                    events=events,
                    spans=spans,
                    schedule=schedule,
                )
                speaker = self._speaker = Speaker(
                    state,
                    writer=writer,
                    sink=face,
                    mesh=mesh,
                    streams=streams,
                    events=events,
                    spans=spans,
                    schedule=schedule,
                    outbox=outbox,
                )
                speaker.start(group, speaker.speak())
                face.start(group, face.show())
                player.start(group, player.play())
        await outbox.until_open()
        if state.question.paced:
            await self._heard.until_reported()

    async def _cancel(self) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])

    def _leave(self, heard: str) -> None:
        """Hands the outcome over to history and memory."""
        state = self._state
        self._heard_text = heard
        outcome = TurnOutcome(
            turn_id=self.turn_id,
            question=state.question.text,
            heard_text=heard,
            quotes_document=any(
                source.kind == llm.SOURCE_KIND_DOCUMENT for source in state.sources
            ),
            face_late_s=state.face_late_s,
            face_lost=state.face_lost,
            pictures=state.question.pictures,
            sent_s=self._schedule.sent_samples / self._mesh.settings.sample_rate_hz,
            begun_ns=self._begun_ns,
            manner=state.manner,
        )
        try:
            self._on_end(outcome)
        except Exception as fault:  # the client must still be notified of the end of the turn
            get_logger().error("a turn was not recorded", turn_id=self.turn_id, exc_info=fault)

    def _end(self, header: common.ChunkHeader) -> None:
        state = self._state
        reason = common.EndReason.Name(state.reason).removeprefix("END_REASON_").lower()
        metrics.TURNS.labels(reason).inc()
        ended = pb.TurnEnded(
            header=header,
            reason=state.reason,
            text=state.text,
            heard_text=self._heard_text,
            sample_count=self._schedule.sent_samples,
            spans=self._spans.finish(reason, first_media_us=state.first_media_us),
            first_media_us=state.first_media_us,
            sources=state.sources,
            idle_frame=state.idle_frame,
            silence_us=self._silence_us,
            stale_dropped=state.stale,
            speculative=self._speculative,
        )
        self._outbox.post(pb.ConverseResponse(turn_ended=ended))
        self._ended = True
