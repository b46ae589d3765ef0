"""Creates the turns of one session and records their outcomes."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway import notices
from gateway.session.history import History
from gateway.session.opening import Opening
from gateway.session.pictures import WaitingPictures
from gateway.session.remembering import request_of
from gateway.session.shown_idle import IdleLoop
from gateway.session.turns.quality import Quality
from gateway.stages.mesh import Mesh
from gateway.turn.playout.outbox import Outbox
from gateway.turn.question import Question
from gateway.turn.speaking.manner import USUAL_PERCENT, Manner
from gateway.turn.turn import Turn, TurnOutcome
from services.runtime.identity.caller import caller
from services.runtime.limits.callers import counted_as

MAX_QUESTION_CHARS = 8000


class TurnMaker:
    """Creates turns from the session's parameters and the outcomes of earlier turns.

    Args:
        mesh: The stages.
        opening: The parameters of the session.
        outbox: The destination of events.
        history: The history of the session.
        idle: The idle loop that the client shows between answers.
        pictures: The pictures of the next question.
        on_end: Called with the outcome of each turn as soon as the turn is over.
    """

    def __init__(
        self,
        *,
        mesh: Mesh,
        opening: Opening,
        outbox: Outbox,
        history: History,
        idle: IdleLoop,
        pictures: WaitingPictures,
        on_end: Callable[[TurnOutcome], None],
    ) -> None:
        self._mesh = mesh
        self._opening = opening
        self._outbox = outbox
        self._history = history
        self._idle = idle
        self._pictures = pictures
        self._on_end = on_end
        self._manner = Manner(opening.config.voice, opening.config.rate_percent or USUAL_PERCENT)
        self._quality = Quality()
        self._shown: pb.VideoLevel.ValueType = pb.VIDEO_LEVEL_FULL

    def make(
        self, text: str, *, epoch: int, asked_at: float, spoken: bool, speculative: bool = False
    ) -> Turn:
        """Creates a turn without starting it.

        Args:
            text: The question; only its first `MAX_QUESTION_CHARS` are used.
            epoch: The epoch of the session.
            asked_at: The end of the question on the loop's clock, seconds.
            spoken: True if the question was spoken, not typed.
            speculative: The question is a guess.
        """
        opening = self._opening
        video = None
        if opening.video is not None:
            rate_hz = self._mesh.settings.sample_rate_hz
            video = self._quality.video(opening.video, sample_rate_hz=rate_hz)
        question = Question(
            turn_id=uuid.uuid4().hex,
            epoch=epoch,
            text=text[:MAX_QUESTION_CHARS],
            asked_at=asked_at,
            spoken=spoken,
            session_id=opening.session_id,
            user_id=opening.config.user_id,
            persona=opening.persona,
            language=opening.config.language,
            notice_language=notices.language_for(
                text,
                chosen=opening.config.notice_language or opening.config.language,
                spoken=opening.listen_language,
            ),
            manner=self._manner,
            known_voices=opening.voices,
            avatar=opening.avatar,
            video=video or common.VideoFormat(),
            speech=opening.speech,
            face=video is not None,
            paced=opening.paced,
            time_zone=opening.config.time_zone,
            history=self._history.messages(),
            pictures=self._pictures.waiting,
            ai_mark=opening.config.ai_mark,
            idle=self._idle,
            route=opening.route,
        )
        return Turn(
            question,
            mesh=self._mesh,
            outbox=self._outbox,
            on_end=self._ended,
            speculative=speculative,
        )

    def report_quality(self, turn: Turn) -> None:
        """Informs the client if the video level differs from that of the previous turn."""
        if self._opening.video is not None and self._quality.level != self._shown:
            self._shown = self._quality.level
            turn.say_quality(self._shown)

    def record(self, outcome: TurnOutcome) -> None:
        """Adds a turn to the history and, if the user has an id, to the memory."""
        self._history.add(outcome)
        self._pictures.shown(outcome.pictures)
        config = self._opening.config
        if config.user_id:
            self._mesh.remember_queue.add(
                request_of(outcome, user_id=config.user_id, session_id=self._opening.session_id),
                said_ns=outcome.begun_ns,
            )

    def record_unanswered(self, question: str) -> None:
        """Records a question that no turn answers."""
        self.record(TurnOutcome(turn_id=uuid.uuid4().hex, question=question, heard_text=""))

    def _ended(self, outcome: TurnOutcome) -> None:
        self._manner = outcome.manner or self._manner
        self._mesh.speech.use(counted_as(caller(), by_address=True), outcome.sent_s)
        if self._opening.video is not None and self._opening.paced:
            self._quality.answered(late_s=outcome.face_late_s)
            if outcome.face_lost:
                self._shown = pb.VIDEO_LEVEL_IDLE_LOOP
        self._on_end(outcome)
