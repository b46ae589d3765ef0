"""The state of one answer: the data that the parts of a turn share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from anima.common.v1 import common_pb2 as common
from anima.llm.v1 import llm_pb2 as llm
from gateway.stages.failure import StageFailed
from gateway.turn.question import Question
from gateway.turn.speaking.manner import Manner


@dataclass(kw_only=True)
class TurnState:
    """An answer in progress. Each field has one writer, named in parentheses.

    Attributes:
        question: The question; `Turn` replaces it when a guess is confirmed.
        text: The text that has been written and handed on (`Captions`).
        manner: How the face speaks; the answer may change it (`Writer`).
        words: When each word is spoken, on the sample clock of the turn (`Speaker`).
        sources: The sources of the answer (`Writer`).
        reason: Why the answer ended (`Writer`, `TurnEvents`, `Turn`).
        failure: The first stage that failed, or the gateway itself (`TurnEvents`).
        first_media_us: The time from the end of the question to the first media; 0 if there was
            none (`Player`).
        idle_frame: The frame of the idle loop that follows the last frame; None without video
            (`Face`).
        face_late_s: The largest delay of the face, seconds (`Face`).
        face_lost: True once the answer goes on without video (`TurnEvents`).
        stale: How many messages were dropped because of an interruption (`TurnStreams`, `Turn`).
    """

    question: Question
    manner: Manner
    text: str = ""
    words: list[common.WordMark] = field(default_factory=list)
    sources: Sequence[llm.Source] = ()
    reason: common.EndReason.ValueType = common.END_REASON_COMPLETE
    failure: StageFailed | None = None
    first_media_us: int = 0
    idle_frame: int | None = None
    face_late_s: float = 0.0
    face_lost: bool = False
    stale: int = 0
