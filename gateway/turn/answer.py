"""What has been made of one answer so far, and where it goes: what the parts of a turn share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from anima.tts.v1 import tts_pb2 as tts
from gateway import metrics, notices
from gateway.session.shown_idle import IdleLoop
from gateway.settings import GatewaySettings
from gateway.stages.spec import GATEWAY, STAGES
from gateway.stages.stream import StageFailed, StageStream
from gateway.turn.playout.gate import Gate
from gateway.turn.playout.playback import Playback, heard_text
from gateway.turn.playout.schedule import Schedule
from gateway.turn.timing.spans import SpanLog, StageSpan
from services.runtime.errors import InternalError
from services.runtime.logs import get_logger


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question and how it is to be answered.

    Attributes:
        turn_id: The turn.
        epoch: The epoch of the session when the turn began.
        text: What the person said or typed.
        asked_at: The end of the question on the loop's clock, seconds.
        spoken: True if the question was spoken, not typed.
        session_id: The session.
        user_id: Whose memory is used; empty: nobody's.
        persona: Who answers.
        language: BCP-47 language to answer in; empty: the question's.
        notice_language: The language in which people are told of trouble.
        voice: The name of a voice; empty: the persona's.
        known_voices: The voices of the mesh.
        avatar: The name of the avatar; empty: the service's first.
        video: What the video should be.
        speech: False: text only.
        face: False: no video.
        paced: False: media leaves as it is made.
        history: What was said and heard before.
        ai_mark: True: pictures carry the mark that a machine made them.
        idle: The idle loop that the client shows before.
    """

    turn_id: str
    epoch: int
    text: str
    asked_at: float
    spoken: bool
    session_id: str
    user_id: str
    persona: llm.Persona
    language: str
    notice_language: str
    voice: str
    known_voices: Sequence[tts.Voice]
    avatar: str
    video: common.VideoFormat
    speech: bool
    face: bool
    paced: bool
    history: Sequence[llm.Message]
    ai_mark: bool
    idle: IdleLoop


@dataclass(kw_only=True)
class Answer:
    """An answer under way.

    Attributes:
        question: What is answered.
        settings: The settings of the gateway.
        outbox: Where events go; shut while the answer is only a guess.
        spans: When each stage worked.
        schedule: The playout clock.
        stop_above: Stops the parts of the turn that feed a stage, given its name.
        stage_is_full: Told of a stage that has no place, and for how many ms.
        text: What has been written and handed on.
        words: When each word is spoken.
        sources: Where the answer came from.
        reason: Why the writing ended.
        failure: The first stage that failed, or the gateway itself.
        first_media_us: From the end of the question to the first media; 0 if there was none.
        playback: How far the client says it has played.
        idle_frame: The frame of the idle loop that follows the last frame; None without video.
        face_late_s: How late the face was at most, seconds.
        face_lost: True once the answer goes on without pictures.
        stale: How many messages were dropped because of an interruption.
    """

    question: Question
    settings: GatewaySettings
    outbox: Gate
    spans: SpanLog
    schedule: Schedule
    stop_above: Callable[[str], None]
    stage_is_full: Callable[[str, int], None]
    text: str = ""
    words: list[common.WordMark] = field(default_factory=list)
    sources: Sequence[llm.Source] = ()
    reason: common.EndReason.ValueType = common.END_REASON_COMPLETE
    failure: StageFailed | None = None
    first_media_us: int = 0
    playback: Playback = field(default_factory=Playback)
    idle_frame: int | None = None
    face_late_s: float = 0.0
    face_lost: bool = False
    stale: int = 0
    _streams: list[StageStream[Any, Any]] = field(default_factory=list)
    _sequence: dict[str, int] = field(default_factory=dict)

    async def open_stream(
        self,
        stage: str,
        method: Callable[..., Any],
        config: Any,
        *,
        span: StageSpan | None = None,
        timeout_ms: int | None = None,
    ) -> StageStream[Any, Any]:
        """Opens the turn's stream to a stage, under the stage's span or else the turn's.

        Args:
            stage: The name of the stage.
            method: The method of the stub.
            config: The first request.
            span: The stage's span; None: the turn's.
            timeout_ms: How long that may take; None: as set for the stage.

        Raises:
            StageFailed: The stage is away, full, or refuses the config.
        """
        allowed_ms = self.settings.stages[stage].open_ms
        with self.spans.current() if span is None else span.current():
            stream: StageStream[Any, Any] = await StageStream.open(
                stage,
                method,
                config,
                timeout_ms=allowed_ms if timeout_ms is None else min(timeout_ms, allowed_ms),
                wait_for_place=STAGES[stage].waits_for_place,
                on_full=lambda retry_after_ms: self.stage_is_full(stage, retry_after_ms),
            )
        self._streams.append(stream)
        return stream

    async def stop_streams(self, epoch: int) -> list[pb.StageStop]:
        """Interrupts all stages that are at work and waits for their confirmations."""
        timeout_ms = self.settings.stop_timeout_ms
        running = [stream for stream in self._streams if not stream.ended]
        stops = await asyncio.gather(*(s.stop(epoch, timeout_ms=timeout_ms) for s in running))
        self.stale += sum(stream.stale for stream in running)
        return list(stops)

    async def close_streams(self) -> None:
        """Closes all streams of the turn."""
        await asyncio.gather(*(stream.close() for stream in self._streams))

    def header(self, stream: str, *, segment: int = 0) -> common.ChunkHeader:
        """Addresses the next message of a stream of messages to the client."""
        number = self._sequence[stream] = self._sequence.get(stream, 0) + 1
        return common.ChunkHeader(
            turn_id=self.question.turn_id,
            epoch=self.question.epoch,
            segment=segment,
            sequence=number,
        )

    def is_stale(self, stage: str, header: common.ChunkHeader) -> bool:
        """Tells whether a message of a stage is of an old epoch, and counts it."""
        stale = header.epoch < self.question.epoch
        if stale:
            self.stale += 1
            metrics.stale_dropped(stage, 1)
        return stale

    def lose_face(self) -> None:
        """Says that no pictures follow."""
        self.face_lost = True
        self.say_quality(pb.VIDEO_LEVEL_IDLE_LOOP, 0)

    def say_quality(self, level: pb.VideoLevel.ValueType, frame_rate_hz: int) -> None:
        """Tells the client how much video follows."""
        header = common.ChunkHeader(turn_id=self.question.turn_id, epoch=self.question.epoch)
        quality = pb.VideoQuality(header=header, level=level, frame_rate_hz=frame_rate_hz)
        self.outbox.post(pb.ConverseResponse(quality=quality))

    def degrade(self, stage: str, problem: str) -> None:
        """Goes on without a stage, or a part of it, and tells the person."""
        get_logger().warning(
            "an answer goes on without a stage",
            failed_stage=stage,
            problem=problem,
            turn_id=self.question.turn_id,
        )
        metrics.STAGE_FAILURES.labels(stage).inc()
        notice = notices.degraded(stage, self.question.notice_language, self.question.turn_id)
        self.outbox.post(pb.ConverseResponse(notice=notice))

    def fail(self, failure: StageFailed) -> None:
        """Ends the making of the answer: what has been made already is still played."""
        get_logger().warning(
            "a stage failed",
            failed_stage=failure.stage,
            problem=str(failure.error),
            turn_id=self.question.turn_id,
        )
        metrics.STAGE_FAILURES.labels(failure.stage).inc()
        if self.failure is None:
            self.failure = failure
            self.reason = common.END_REASON_ERROR
            notice = notices.stage_failed(
                failure.stage, self.question.notice_language, self.question.turn_id
            )
            self.outbox.post(pb.ConverseResponse(notice=notice))
        self.stop_above(failure.stage)

    def break_off(self, fault: Exception) -> None:
        """Ends the answer after a fault of the gateway: nothing more of it is made or played."""
        turn_id = self.question.turn_id
        get_logger().error("a turn failed", turn_id=turn_id, exc_info=fault)
        self.reason = common.END_REASON_ERROR
        if self.failure is None:
            self.failure = StageFailed(GATEWAY, InternalError(f"a turn failed: {fault!r}"))
            notice = notices.stage_failed(GATEWAY, self.question.notice_language, turn_id)
            self.outbox.post(pb.ConverseResponse(notice=notice))

    def heard(self, *, complete: bool) -> str:
        """Gives the text that the person has heard.

        Args:
            complete: Everything was made and played.
        """
        if not self.question.speech or (complete and not self.playback.stuck):
            return self.text
        return heard_text(self.text, self.words, self.heard_samples())

    def heard_samples(self) -> int:
        """The first sample that has not been played: by the client's reports, else the schedule."""
        schedule = self.schedule
        return self.playback.position(
            sent=schedule.sent_samples, scheduled=schedule.played_samples()
        )
