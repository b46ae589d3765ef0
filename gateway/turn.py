"""A turn: one question and its answer, with one place from which all of it is stopped.

The parts run side by side and are joined by bounded queues: Writer (memories, language model,
segments), Speaker (speech synthesis), Face (talking head), Player (playout). What comes late in the
chain holds back what comes early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway import metrics
from gateway.answer import Answer, Question
from gateway.mesh import Mesh
from gateway.outbox import Outbox
from gateway.playing import Player
from gateway.playout import Schedule
from gateway.showing import Face
from gateway.spans import SpanLog
from gateway.speaking import Speaker
from gateway.writing import Writer
from services.runtime.logs import get_logger

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
    """

    turn_id: str
    question: str
    heard_text: str


class Turn:
    """Answers one question.

    Args:
        question: What to answer and how.
        mesh: The stages.
        outbox: Where events go.
        on_end: Called once, just before the last event of the turn.
    """

    def __init__(
        self,
        question: Question,
        *,
        mesh: Mesh,
        outbox: Outbox,
        on_end: Callable[[TurnOutcome], None],
    ) -> None:
        settings = mesh.settings
        self._on_end = on_end
        self._mesh = mesh
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reported = asyncio.Event()
        self._over = False
        self._answer = Answer(
            question=question,
            settings=settings,
            outbox=outbox,
            spans=SpanLog(turn_id=question.turn_id, asked_at=question.asked_at),
            schedule=Schedule(
                sample_rate_hz=settings.sample_rate_hz,
                lead_ms=settings.lead_ms,
                lookahead_ms=settings.lookahead_ms,
                paced=question.paced,
            ),
            stop_above=self._stop_above,
        )
        self._work: asyncio.Task[None] | None = None

    @property
    def turn_id(self) -> str:
        """The id of the turn."""
        return self._answer.question.turn_id

    @property
    def over(self) -> bool:
        """True once the last event of the turn has been posted or nothing more is wanted of it."""
        return self._over

    def start(self) -> asyncio.Task[None]:
        """Begins to answer.

        Returns:
            The task; it is done after `turn_ended`.
        """
        question = self._answer.question
        started = pb.TurnStarted(
            header=common.ChunkHeader(turn_id=question.turn_id, epoch=question.epoch),
            question=question.text,
        )
        self._answer.outbox.post(pb.ConverseResponse(turn_started=started))
        if question.spoken:
            self._answer.spans.begin("asr", started_at=question.asked_at).end()
        self._work = asyncio.create_task(self._run(), name=f"turn {question.turn_id}")
        return self._work

    def playback(self, played_samples: int) -> None:
        """Notes how far the client has played."""
        self._answer.reported_samples = max(played_samples, self._answer.reported_samples or 0)
        self._reported.set()

    async def interrupt(self, epoch: int) -> None:
        """Stops every stage and tells the client; does nothing if the turn is over.

        Args:
            epoch: The new epoch of the session.
        """
        if self._over:
            return
        self._over = True
        asked_at = asyncio.get_running_loop().time()
        answer = self._answer
        heard = answer.heard(complete=False)
        metrics.stale_dropped("client", answer.outbox.drop_below(epoch))
        await self._cancel()
        stages = await answer.stop_streams(epoch)
        metrics.STOP_SECONDS.observe(asyncio.get_running_loop().time() - asked_at)
        header = common.ChunkHeader(turn_id=self.turn_id, epoch=epoch)
        interrupted = pb.TurnInterrupted(header=header, stages=stages, heard_text=heard)
        answer.outbox.post(pb.ConverseResponse(turn_interrupted=interrupted))
        answer.reason = common.END_REASON_INTERRUPTED
        self._end(header, heard)
        await answer.close_streams()

    async def abandon(self) -> None:
        """Cancels everything because the client has gone; memory still gets what was heard."""
        if not self._over:
            self._over = True
            heard = self._answer.heard(complete=False)
            self._answer.reason = common.END_REASON_INTERRUPTED
            await self._cancel()
            self._end(common.ChunkHeader(turn_id=self.turn_id), heard)
        await self._answer.close_streams()

    async def _run(self) -> None:
        try:
            await self._produce()
        except ExceptionGroup as error:
            # A fault of ours: the session must live on, and the person must not wait for ever.
            get_logger().error("a turn failed", turn_id=self.turn_id, exc_info=error)
            self._answer.reason = common.END_REASON_ERROR
        if self._over:
            return
        self._over = True
        failed = self._answer.reason == common.END_REASON_ERROR
        question = self._answer.question
        header = common.ChunkHeader(turn_id=self.turn_id, epoch=question.epoch)
        self._end(header, self._answer.heard(complete=not failed))
        await self._answer.close_streams()

    async def _produce(self) -> None:
        answer, mesh = self._answer, self._mesh
        player = Player(answer)
        writer = Writer(answer, mesh)
        async with asyncio.TaskGroup() as group:
            self._tasks["writing"] = group.create_task(writer.run(), name="writing")
            if not answer.question.speech:
                return
            face = Face(answer, mesh, player=player)
            speaker = Speaker(answer, mesh, writer=writer, face=face, player=player)
            self._tasks["speaking"] = group.create_task(speaker.run(), name="speaking")
            group.create_task(face.run(), name="showing")
            group.create_task(player.run(), name="playing")
        await self._until_reported()

    async def _until_reported(self) -> None:
        answer = self._answer
        if not answer.question.paced:
            return
        tolerance = round(_REPORT_TOLERANCE_S * answer.settings.sample_rate_hz)
        end = answer.schedule.sent_samples - tolerance
        while answer.reported_samples is not None and answer.reported_samples < end:
            self._reported.clear()
            try:
                async with asyncio.timeout(_REPORT_SILENCE_S):
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

    def _end(self, header: common.ChunkHeader, heard: str) -> None:
        answer = self._answer
        reason = common.EndReason.Name(answer.reason).removeprefix("END_REASON_").lower()
        metrics.TURNS.labels(reason).inc()
        self._on_end(
            TurnOutcome(turn_id=self.turn_id, question=answer.question.text, heard_text=heard)
        )
        ended = pb.TurnEnded(
            header=header,
            reason=answer.reason,
            text=answer.text,
            heard_text=heard,
            sample_count=answer.schedule.sent_samples,
            spans=answer.spans.finish(reason),
            first_media_us=answer.first_media_us,
            sources=answer.sources,
        )
        answer.outbox.post(pb.ConverseResponse(turn_ended=ended))
