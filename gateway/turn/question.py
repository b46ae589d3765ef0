"""A question and everything that decides how it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anima.common.v1 import common_pb2 as common
from anima.llm.v1 import llm_pb2 as llm
from anima.tts.v1 import tts_pb2 as tts
from gateway.session.shown_idle import IdleLoop
from gateway.stages.route import Route
from gateway.turn.speaking.manner import Manner


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question and how it is to be answered.

    Attributes:
        turn_id: The turn.
        epoch: The epoch of the session when the turn began.
        text: The question as typed or recognised.
        asked_at: The end of the question on the loop's clock, seconds.
        spoken: True if the question was spoken, not typed.
        session_id: The session.
        user_id: The user whose memory is used; empty: no memory.
        persona: The persona that answers.
        language: BCP-47 language to answer in; empty: the question's.
        notice_language: The language of notices.
        manner: How the face speaks.
        known_voices: The voices of the mesh.
        avatar: The name of the avatar; empty: the service's first.
        video: The format of the video.
        speech: False: text only.
        face: False: no video.
        paced: False: media is sent as it is made.
        time_zone: The IANA name of the user's time zone; empty: unknown.
        history: The conversation so far, with only the part of each answer that was heard.
        pictures: What the person shows with it, JPEG files.
        ai_mark: True: frames carry a mark that they are made by AI.
        idle: The idle loop that the client shows before the answer.
        route: Where the calls of the session go.
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
    manner: Manner
    known_voices: Sequence[tts.Voice]
    avatar: str
    video: common.VideoFormat
    speech: bool
    face: bool
    paced: bool
    time_zone: str
    history: Sequence[llm.Message]
    pictures: Sequence[bytes]
    ai_mark: bool
    idle: IdleLoop
    route: Route
