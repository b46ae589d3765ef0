"""Reports of a turn to the client other than text and media: notices, pauses, video level."""

from __future__ import annotations

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway import metrics, notices
from gateway.stages.failure import StageFailed
from gateway.stages.spec import GATEWAY
from gateway.turn.playout.gate import Gate
from gateway.turn.speaking.manner import Manner
from gateway.turn.state import TurnState
from services.runtime.errors import InternalError
from services.runtime.observing.logs import get_logger


class TurnEvents:
    """The events of one turn.

    Args:
        state: The answer in progress.
        outbox: Where events go; shut while the answer is only a guess.
    """

    def __init__(self, state: TurnState, outbox: Gate) -> None:
        self._state = state
        self._outbox = outbox
        self._sequence: dict[str, int] = {}

    def header(self) -> common.ChunkHeader:
        """Returns the header of an event that is sent at most once or is not numbered."""
        question = self._state.question
        return common.ChunkHeader(turn_id=question.turn_id, epoch=question.epoch)

    def numbered(self, stream: str, *, segment: int = 0) -> common.ChunkHeader:
        """Returns the header of the next message in a numbered stream, such as "media"."""
        question = self._state.question
        number = self._sequence[stream] = self._sequence.get(stream, 0) + 1
        return common.ChunkHeader(
            turn_id=question.turn_id, epoch=question.epoch, segment=segment, sequence=number
        )

    def pause(self, at_sample: int) -> None:
        """Makes the client stop playing at once; the event overtakes all unread ones."""
        paused = pb.TurnPaused(header=self.header(), at_sample=at_sample)
        self._outbox.post(pb.ConverseResponse(turn_paused=paused), urgent=True)

    def resume(self, paused_s: float) -> None:
        """Makes the client resume playing, and reports how long the pause was, in seconds."""
        resumed = pb.TurnResumed(header=self.header(), paused_us=round(paused_s * 1e6))
        self._outbox.post(pb.ConverseResponse(turn_resumed=resumed))

    def quality(self, level: pb.VideoLevel.ValueType, frame_rate_hz: int) -> None:
        """Reports the level of the video that follows."""
        quality = pb.VideoQuality(header=self.header(), level=level, frame_rate_hz=frame_rate_hz)
        self._outbox.post(pb.ConverseResponse(quality=quality))

    def lose_face(self) -> None:
        """Reports that no more video follows."""
        self._state.face_lost = True
        self.quality(pb.VIDEO_LEVEL_IDLE_LOOP, 0)

    def change_manner(self, manner: Manner) -> None:
        """Reports with which voice and how fast the face speaks from now on."""
        changed = pb.SpeechChanged(
            header=self.header(), voice=manner.voice, rate_percent=manner.rate_percent
        )
        self._outbox.post(pb.ConverseResponse(speech_changed=changed))

    def degrade(self, stage: str, problem: str) -> None:
        """Reports that the answer goes on without a stage, or without a part of its work."""
        question = self._state.question
        get_logger().warning(
            "an answer goes on without a stage",
            failed_stage=stage,
            problem=problem,
            turn_id=question.turn_id,
        )
        metrics.STAGE_FAILURES.labels(stage).inc()
        notice = notices.degraded(stage, question.notice_language, question.turn_id)
        self._outbox.post(pb.ConverseResponse(notice=notice))

    def cannot_remember(self) -> None:
        """Reports that nothing of the answer can be remembered."""
        question = self._state.question
        notice = notices.memory_full(question.notice_language, question.turn_id)
        self._outbox.post(pb.ConverseResponse(notice=notice))

    def fail(self, failure: StageFailed) -> None:
        """Reports that the answer cannot be finished; the part already made is still played."""
        get_logger().warning(
            "a stage failed",
            failed_stage=failure.stage,
            problem=str(failure.error),
            turn_id=self._state.question.turn_id,
        )
        metrics.STAGE_FAILURES.labels(failure.stage).inc()
        self._fail_once(failure)

    def break_off(self, fault: Exception) -> None:
        """Reports an internal error: nothing more of the answer is made or played."""
        turn_id = self._state.question.turn_id
        get_logger().error("a turn failed", turn_id=turn_id, exc_info=fault)
        self._fail_once(StageFailed(GATEWAY, InternalError(f"a turn failed: {fault!r}")))

    def _fail_once(self, failure: StageFailed) -> None:
        """Records why the answer ends; only the first failure is reported to the person."""
        state = self._state
        state.reason = common.END_REASON_ERROR
        if state.failure is None:
            state.failure = failure
            question = state.question
            notice = notices.stage_failed(failure.stage, question.notice_language, question.turn_id)
            self._outbox.post(pb.ConverseResponse(notice=notice))
