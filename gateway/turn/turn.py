"""A turn: one question and its answer, with one place from which all of it is stopped.

The parts run side by side and are joined by bounded queues: Writer (memories, language model,
segments), Speaker (speech synthesis), Face (talking head), Player (playout). What comes late in the
chain holds back what comes early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from gateway import metrics
from gateway.stages.mesh import Mesh
from gateway.turn.answer import Answer, Question
from gateway.turn.face import Face
from gateway.turn.playout.gate import Gate
from gateway.turn.playout.outbox import Outbox
from gateway.turn.playout.player import Player
from gateway.turn.playout.schedule import Schedule
from gateway.turn.speaking.speaker import Speaker
from gateway.turn.timing.spans import SpanLog
from gateway.turn.writing.writer import Writer
from services.runtime.logs import get_logger
from services.runtime.tasks import Tasks
from text.normal import normal

# After the schedule's end a client that reports playback is waited for while it goes on playing.
_REPORT_SILENCE_S = 1.0
_REPORT_TOLERANCE_S = 0.5
_ABOVE = {"llm": (), "tts": ("writing",), "avatar": ("writing", "speaking")}


@dataclass(frozen=True, kw_only=True)
class TurnOutcome:
    """What a turn leaves for history and memory.

    Attributes:
        turn_id: The turn.
        question: What the person asked.
        heard_text: What the person heard of the answer; may be empty.
        quotes_document: True if the answer came from a document.
        face_late_s: How late the face was at most, seconds.
        face_lost: True if the answer went on without pictures.
    """

    turn_id: str
    question: str
    heard_text: str
    quotes_document: bool = False
    face_late_s: float = 0.0
    face_lost: bool = False


class Turn:
    """Answers one question.

    Args:
        question: What to answer and how.
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
        self._on_end = on_end
        self._mesh = mesh
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reported = asyncio.Event()
        self._over = False
        self._ended = False
        self._heard = ""
        self._speculative = speculative
        self._answer = Answer(
            question=question,
            settings=settings,
            outbox=Gate(outbox, is_open=not speculative),
            spans=SpanLog(turn_id=question.turn_id, asked_at=question.asked_at),
            schedule=Schedule(
                sample_rate_hz=settings.sample_rate_hz,
                lead_ms=settings.lead_ms,
                lookahead_ms=settings.lookahead_ms,
                paced=question.paced,
            ),
            stop_above=self._stop_above,
            stage_is_full=mesh.stage_is_full,
        )
        self._outbox = outbox
        self._running = Tasks("turn")
        self._work: asyncio.Task[None] | None = None
        self._held_at: float | None = None
        self._silence_us = 0
        self._underruns = 0

    @property
    def turn_id(self) -> str:
        """The id of the turn."""
        return self._answer.question.turn_id

    @property
    def over(self) -> bool:
        """True once nothing more is wanted of the turn; its last events may still follow."""
        return self._over

    @property
    def ended(self) -> bool:
        """True once the last event of the turn has been posted."""
        return self._ended

    @property
    def spoken(self) -> bool:
        """True if the question was spoken, not typed."""
        return self._answer.question.spoken

    @property
    def work(self) -> asyncio.Task[None]:
        """The task that answers, once the turn was started; it is done after `turn_ended`."""
        if self._work is None:
            raise RuntimeError("the turn has not been started")
        return self._work

    def start(self) -> None:
        """Begins to answer."""
        question = self._answer.question
        if not self._speculative:
            self._announce(self._answer.outbox)
        self._work = self._running.start(self._run(), name=f"turn {question.turn_id}")

    def answers(self, text: str) -> bool:
        """Tells whether a turn that was begun on a guess can answer a question."""
        question = self._answer.question
        return self._answer.failure is None and normal(question.text) == normal(text)

    def commit(self, text: str, *, asked_at: float) -> None:
        """Lets a turn that was begun on a guess answer: what it has made leaves now.

        Args:
            text: The question.
            asked_at: The end of the question on the loop's clock, seconds.
        """
        answer = self._answer
        answer.question = replace(answer.question, text=text, asked_at=asked_at)
        answer.spans.asked_at = asked_at
        self._announce(self._outbox)
        answer.outbox.open()

    async def discard(self) -> None:
        """Drops a turn that was begun on a guess: no event, no history, no memory."""
        self._over = True
        await self._cancel()
        await self._answer.close_streams()
        self._answer.spans.finish("discarded")

    def playback(self, report: pb.PlaybackReport) -> None:
        """Notes how far the client has played, and how often that ran dry."""
        answer = self._answer
        answer.playback.report(
            report.played_samples,
            sent=answer.schedule.sent_samples,
            scheduled=answer.schedule.played_samples(),
            now=asyncio.get_running_loop().time(),
        )
        metrics.UNDERRUNS.inc(max(0, report.underruns - self._underruns))
        self._underruns = max(report.underruns, self._underruns)
        if report.HasField("av_offset_us"):
            metrics.AV_OFFSET_SECONDS.observe(abs(report.av_offset_us) / 1e6)
        self._reported.set()

    def hold(self) -> None:
        """Stops playout where it is, and tells the client to."""
        answer = self._answer
        answer.schedule.hold()
        self._held_at = asyncio.get_running_loop().time()
        if answer.question.speech:
            header = common.ChunkHeader(turn_id=self.turn_id, epoch=answer.question.epoch)
            paused = pb.TurnPaused(header=header, at_sample=answer.heard_samples())
            answer.outbox.post(pb.ConverseResponse(turn_paused=paused), urgent=True)

    def resume(self) -> None:
        """Lets playout go on where it was stopped."""
        if self._held_at is None:
            return
        answer = self._answer
        held_us = round(answer.schedule.go_on() * 1e6)
        self._held_at = None
        if answer.question.speech and not self._over:
            header = common.ChunkHeader(turn_id=self.turn_id, epoch=answer.question.epoch)
            resumed = pb.TurnResumed(header=header, paused_us=held_us)
            answer.outbox.post(pb.ConverseResponse(turn_resumed=resumed))

    def say_quality(self, level: pb.VideoLevel.ValueType) -> None:
        """Tells the client how much video the answer has."""
        question = self._answer.question
        rate_hz = question.video.frame_rate_hz if question.face else 0
        self._answer.say_quality(level, rate_hz)

    def is_ending(self, within_s: float) -> bool:
        """Tells whether all has been made and at most this much of it is left to play."""
        schedule = self._answer.schedule
        left = schedule.sent_samples - schedule.played_samples()
        speaking = self._tasks.get("speaking")
        made = speaking is not None and speaking.done()
        return made and left <= within_s * self._answer.settings.sample_rate_hz

    @property
    def unheard(self) -> bool:
        """True if nothing of the answer was heard so far."""
        answer = self._answer
        return not (answer.heard(complete=False) if answer.question.speech else answer.text)

    async def interrupt(self, epoch: int, *, cause_at: float) -> None:
        """Stops every stage and tells the client; does nothing if the turn is over.

        Args:
            epoch: The new epoch of the session.
            cause_at: When the person began to speak or gave the command, on the loop's clock.
        """
        if self._over:
            return
        self._over = True
        asked_at = asyncio.get_running_loop().time()
        answer = self._answer
        # Before the first await: a client that leaves while the stages confirm is remembered too.
        self._leave(answer.heard(complete=False))
        dropped = answer.outbox.drop_below(epoch)
        answer.stale += dropped
        metrics.stale_dropped("client", dropped)
        silent_at = asyncio.get_running_loop().time() if self._held_at is None else self._held_at
        self._silence_us = max(1, round((silent_at - cause_at) * 1e6))
        metrics.SILENCE_SECONDS.observe(self._silence_us / 1e6)
        await self._cancel()
        stages = await answer.stop_streams(epoch)
        metrics.STOP_SECONDS.observe(asyncio.get_running_loop().time() - asked_at)
        header = common.ChunkHeader(turn_id=self.turn_id, epoch=epoch)
        interrupted = pb.TurnInterrupted(header=header, stages=stages, heard_text=self._heard)
        answer.outbox.post(pb.ConverseResponse(turn_interrupted=interrupted))
        answer.reason = common.END_REASON_INTERRUPTED
        self._end(header)
        await answer.close_streams()

    async def abandon(self) -> None:
        """Cancels everything because the client has gone; memory still gets what was heard.

        Also finishes an `interrupt` that was itself cancelled.
        """
        if not self._over:
            self._over = True
            self._leave(self._answer.heard(complete=False))
        await self._cancel()
        if not self._ended:
            self._answer.reason = common.END_REASON_INTERRUPTED
            self._end(common.ChunkHeader(turn_id=self.turn_id))
        await self._answer.close_streams()

    def _announce(self, outbox: Gate | Outbox) -> None:
        question = self._answer.question
        started = pb.TurnStarted(
            header=common.ChunkHeader(turn_id=question.turn_id, epoch=question.epoch),
            question=question.text,
        )
        outbox.post(pb.ConverseResponse(turn_started=started))
        if question.spoken:
            self._answer.spans.begin("asr", started_at=question.asked_at).end()

    async def _run(self) -> None:
        try:
            await self._produce()
        except Exception as fault:
            # The session must live on, and the person must not wait for ever.
            self._answer.break_off(fault)
            await self._answer.outbox.until_open()
        if self._over:
            return
        self._over = True
        failed = self._answer.reason == common.END_REASON_ERROR
        question = self._answer.question
        header = common.ChunkHeader(turn_id=self.turn_id, epoch=question.epoch)
        self._leave(self._answer.heard(complete=not failed))
        self._end(header)
        await self._answer.close_streams()

    async def _produce(self) -> None:
        answer, mesh = self._answer, self._mesh
        player = Player(answer)
        writer = Writer(answer, mesh)
        async with asyncio.TaskGroup() as group:
            self._tasks["writing"] = group.create_task(writer.run(), name="writing")
            if answer.question.speech:
                face = Face(answer, mesh, player=player)
                speaker = Speaker(answer, mesh, writer=writer, face=face, player=player)
                self._tasks["speaking"] = group.create_task(speaker.run(), name="speaking")
                group.create_task(face.run(), name="showing")
                group.create_task(player.run(), name="playing")
        await answer.outbox.until_open()
        await self._until_reported()

    async def _until_reported(self) -> None:
        answer = self._answer
        if not answer.question.paced:
            return
        tolerance = round(_REPORT_TOLERANCE_S * answer.settings.sample_rate_hz)
        end = answer.schedule.sent_samples - tolerance
        while (reported := answer.playback.reported) is not None and reported < end:
            try:
                # Who reports without playing on is not waited for any longer than who is silent.
                async with asyncio.timeout(_REPORT_SILENCE_S):
                    while answer.playback.reported == reported:
                        self._reported.clear()
                        await self._reported.wait()
            except TimeoutError:
                return

    def _stop_above(self, stage: str) -> None:
        for name in _ABOVE[stage]:
            if task := self._tasks.get(name):
                task.cancel()

    async def _cancel(self) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])

    def _leave(self, heard: str) -> None:
        """Hands over what the turn leaves for history and memory."""
        answer = self._answer
        self._heard = heard
        outcome = TurnOutcome(
            turn_id=self.turn_id,
            question=answer.question.text,
            heard_text=heard,
            quotes_document=any(
                source.kind == llm.SOURCE_KIND_DOCUMENT for source in answer.sources
            ),
            face_late_s=answer.face_late_s,
            face_lost=answer.face_lost,
        )
        try:
            self._on_end(outcome)
        except Exception as fault:  # the client must learn all the same that the turn is over
            get_logger().error("a turn was not recorded", turn_id=self.turn_id, exc_info=fault)

    def _end(self, header: common.ChunkHeader) -> None:
        answer = self._answer
        reason = common.EndReason.Name(answer.reason).removeprefix("END_REASON_").lower()
        metrics.TURNS.labels(reason).inc()
        ended = pb.TurnEnded(
            header=header,
            reason=answer.reason,
            text=answer.text,
            heard_text=self._heard,
            sample_count=answer.schedule.sent_samples,
            spans=answer.spans.finish(reason, first_media_us=answer.first_media_us),
            first_media_us=answer.first_media_us,
            sources=answer.sources,
            idle_frame=answer.idle_frame,
            silence_us=self._silence_us,
            stale_dropped=answer.stale,
            speculative=self._speculative,
        )
        answer.outbox.post(pb.ConverseResponse(turn_ended=ended))
        self._ended = True
