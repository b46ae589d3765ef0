"""One question outside of a conversation: the whole answer, collected."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from gateway.http.ask.decoding import QUESTION_RATE_HZ
from services.runtime.errors import Unavailable

_CHUNK_SAMPLES = QUESTION_RATE_HZ // 10
_PIECE_BYTES = 1 << 20
# A recorded question is one utterance, however long its pauses are.
_WHOLE_RECORDING_MS = 120_000


class NotUnderstood(Exception):  # noqa: N818 (named after its meaning)
    """No question was recognised in a recording."""


@dataclass(kw_only=True)
class Reply:
    """A whole answer.

    Attributes:
        question: The question, as typed or recognised.
        words: When each word is spoken.
        pcm: The audio, mono int16.
        frames: The encoded frames.
        sample_rate_hz: Samples per second of the audio; 0 without audio.
        frame_rate_hz: Frames per second; 0 without video.
        ended: How the turn ended, with its text.
        notices: The notices sent to the person.
    """

    sample_rate_hz: int = 0
    frame_rate_hz: int = 0
    question: str = ""
    words: list[common.WordMark] = field(default_factory=list)
    pcm: bytearray = field(default_factory=bytearray)
    frames: list[common.VideoFrame] = field(default_factory=list)
    ended: pb.TurnEnded = field(default_factory=pb.TurnEnded)
    notices: list[pb.Notice] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of the answer."""
        return self.ended.text

    @property
    def sources(self) -> Sequence[llm.Source]:
        """The sources of the answer."""
        return self.ended.sources

    def add(self, event: pb.ConverseResponse) -> None:
        """Takes an event of the session."""
        kind = event.WhichOneof("event")
        if kind == "session_started":
            self.sample_rate_hz = event.session_started.sample_rate_hz
            self.frame_rate_hz = event.session_started.video.frame_rate_hz
        elif kind == "turn_started":
            self.question = event.turn_started.question
        elif kind == "marks":
            self.words.extend(event.marks.words)
        elif kind == "media":
            self.pcm += event.media.audio.pcm
            self.frames.extend(event.media.frames)
        elif kind == "notice":
            self.notices.append(event.notice)
        elif kind == "turn_ended":
            self.ended = event.turn_ended


def one_question(config: pb.ConverseConfig) -> pb.ConverseConfig:
    """Returns the config of a conversation of one question, whose answer is not paced."""
    whole = pb.ConverseConfig()
    whole.CopyFrom(config)
    whole.pacing = pb.PACING_AS_MADE
    whole.input_sample_rate_hz = QUESTION_RATE_HZ
    whole.endpointing.end_silence_ms = _WHOLE_RECORDING_MS
    whole.endpointing.max_utterance_ms = _WHOLE_RECORDING_MS
    return whole


async def question_requests(
    question: str | NDArray[np.int16], pictures: Sequence[bytes] = ()
) -> AsyncIterator[pb.ConverseRequest]:
    """Yields the requests that a client sends after the config to ask one question.

    Args:
        question: Text, or mono samples at 16,000 Hz.
        pictures: Files that are shown with it.
    """
    for file in pictures:
        for start in range(0, len(file), _PIECE_BYTES):
            end = start + _PIECE_BYTES
            piece = pb.PictureChunk(data=file[start:end], more=end < len(file))
            yield pb.ConverseRequest(picture=piece)
    if isinstance(question, str):
        yield pb.ConverseRequest(text=pb.TextInput(text=question))
        return
    for start in range(0, len(question), _CHUNK_SAMPLES):
        pcm = question[start : start + _CHUNK_SAMPLES].astype("<i2").tobytes()
        chunk = common.AudioChunk(start_sample=start, sample_rate_hz=QUESTION_RATE_HZ, pcm=pcm)
        yield pb.ConverseRequest(audio=chunk)
    yield pb.ConverseRequest(end_of_speech=pb.EndOfSpeech())


def check_reply(reply: Reply) -> None:
    """Checks that the answer is complete.

    Raises:
        NotUnderstood: No question was recognised, or its language cannot be.
        Unavailable: A stage failed; the metadata name it as `stage`, and the text is for people.
    """
    for notice in reply.notices:
        if notice.kind in (pb.NOTICE_KIND_NOT_UNDERSTOOD, pb.NOTICE_KIND_LANGUAGE_NOT_HEARD):
            raise NotUnderstood(notice.text)
        if notice.kind == pb.NOTICE_KIND_STAGE_FAILED:
            raise Unavailable(notice.text, reason="STAGE_FAILED", metadata={"stage": notice.stage})
    if not reply.question or reply.ended.reason == common.END_REASON_ERROR:
        text = reply.notices[-1].text if reply.notices else "the answer could not be made"
        raise Unavailable(text)
