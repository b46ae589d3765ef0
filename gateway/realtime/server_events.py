"""Server events: the session's events under the names of the OpenAI Realtime API.

Events that the API does not have are prefixed with `anima.`. Media is in `turn_media`.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from anima.common.v1.common_pb2 import ChunkHeader, EndReason, Marks
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1.llm_pb2 import SourceKind

Event = dict[str, Any]

_STATUS = {
    EndReason.END_REASON_COMPLETE: "completed",
    EndReason.END_REASON_INTERRUPTED: "cancelled",
    EndReason.END_REASON_LENGTH: "incomplete",
    EndReason.END_REASON_ERROR: "failed",
}
_SOURCE_KINDS = {
    SourceKind.SOURCE_KIND_CORPUS: "corpus",
    SourceKind.SOURCE_KIND_DOCUMENT: "document",
    SourceKind.SOURCE_KIND_MEMORY: "memory",
}
_NOTICE_KINDS = {
    pb.NOTICE_KIND_STAGE_FAILED: "stage_failed",
    pb.NOTICE_KIND_DEGRADED: "degraded",
    pb.NOTICE_KIND_NOT_UNDERSTOOD: "not_understood",
    pb.NOTICE_KIND_GOING_AWAY: "going_away",
    pb.NOTICE_KIND_LANGUAGE_NOT_HEARD: "language_not_heard",
}
_VIDEO_LEVELS = {
    pb.VIDEO_LEVEL_REDUCED_RATE: "reduced_rate",
    pb.VIDEO_LEVEL_IDLE_LOOP: "idle_loop",
}


class Translator:
    """Turns the events of one session into events for the client.

    Args:
        spoken: True if answers have audio, so that their text is a transcript.
        input_rate_hz: The rate of the microphone audio, for times in ms.
        output_rate_hz: The rate of the answers' audio.
    """

    def __init__(self, *, spoken: bool, input_rate_hz: int, output_rate_hz: int) -> None:
        self._text_kind = "output_audio_transcript" if spoken else "output_text"
        self._part_kind = "output_audio" if spoken else "output_text"
        self._text_field = "transcript" if spoken else "text"
        self._input_rate_hz = input_rate_hz
        self._output_rate_hz = output_rate_hz
        self._utterances = itertools.count(1)
        self._item_id = ""
        self._partial = ""
        self._translate: dict[str, Callable[[Any], Iterator[Event]]] = {
            "session_started": self._session_started,
            "speech_started": self._speech_started,
            "user_transcript": self._user_transcript,
            "turn_started": self._turn_started,
            "text_delta": self._text_delta,
            "segment_started": self._segment_started,
            "marks": self._marks,
            "turn_interrupted": self._turn_interrupted,
            "turn_ended": self._turn_ended,
            "turn_paused": self._turn_paused,
            "turn_resumed": self._turn_resumed,
            "quality": self._quality,
            "speech_changed": self._speech_changed,
            "notice": self._notice,
        }

    def translate(self, response: pb.ConverseResponse) -> list[Event]:
        """Returns the events for the client, in order; none for media."""
        kind = response.WhichOneof("event")
        translate = self._translate.get(kind or "")
        return list(translate(getattr(response, kind))) if translate and kind else []

    def _session_started(self, started: pb.SessionStarted) -> Iterator[Event]:
        video = started.video
        yield {
            "type": "anima.session",
            "session_id": started.session_id,
            "persona": {"name": started.persona.name, "display_name": started.persona.display_name},
            "sample_rate_hz": started.sample_rate_hz,
            "video": {
                "width_px": video.width_px,
                "height_px": video.height_px,
                "frame_rate_hz": video.frame_rate_hz,
            }
            if started.HasField("video")
            else None,
        }

    def _speech_started(self, started: pb.SpeechStarted) -> Iterator[Event]:
        self._next_item()
        yield {
            "type": "input_audio_buffer.speech_started",
            "item_id": self._item_id,
            "audio_start_ms": started.at_sample * 1000 // self._input_rate_hz,
        }

    def _user_transcript(self, transcript: pb.UserTranscript) -> Iterator[Event]:
        if not self._item_id:
            self._next_item()
        head = {"item_id": self._item_id, "content_index": 0}
        name = "conversation.item.input_audio_transcription"
        if transcript.final:
            heard = {"language": transcript.language}
            yield {
                "type": f"{name}.completed",
                **head,
                "transcript": transcript.text,
                "anima": heard,
            }
            self._item_id = ""
            return
        appended = transcript.text.startswith(self._partial)
        delta = transcript.text[len(self._partial) :] if appended else ""
        self._partial = transcript.text
        # A recogniser revises its text, which a delta cannot express: `transcript` is the whole
        # text.
        yield {"type": f"{name}.delta", **head, "delta": delta, "transcript": transcript.text}

    def _turn_started(self, started: pb.TurnStarted) -> Iterator[Event]:
        header = started.header
        own = _address(header) | {"question": started.question}
        response = self._response(header.turn_id, "in_progress")
        yield {"type": "response.created", "response": response, "anima": own}
        item = self._item(header.turn_id, "in_progress")
        yield self._in_response(header, "output_item.added") | {"output_index": 0, "item": item}
        part = {"type": self._part_kind, self._text_field: ""}
        yield self._in_part(header, "content_part.added") | {"part": part}

    def _text_delta(self, delta: pb.TextDelta) -> Iterator[Event]:
        yield self._in_part(delta.header, f"{self._text_kind}.delta") | {
            "delta": delta.text,
            "anima": _address(delta.header) | {"start_char": delta.start_char},
        }

    def _segment_started(self, segment: pb.SegmentStarted) -> Iterator[Event]:
        yield {
            "type": "anima.segment",
            **_address(segment.header),
            "segment": segment.header.segment,
            "text": segment.text,
            "start_char": segment.chars.start_char,
            "end_char": segment.chars.end_char,
        }

    def _marks(self, marks: Marks) -> Iterator[Event]:
        if not marks.words:
            return
        yield {
            "type": "anima.words",
            **_address(marks.header),
            "segment": marks.header.segment,
            "sample_rate_hz": self._output_rate_hz,
            "words": [
                {
                    "text": word.text,
                    "start_char": word.chars.start_char,
                    "end_char": word.chars.end_char,
                    "start_sample": word.samples.start_sample,
                    "sample_count": word.samples.sample_count,
                }
                for word in marks.words
            ],
        }

    def _speech_changed(self, changed: pb.SpeechChanged) -> Iterator[Event]:
        yield {
            "type": "anima.speech",
            **_address(changed.header),
            "voice": changed.voice,
            "speed": changed.rate_percent / 100,
        }

    def _turn_interrupted(self, interrupted: pb.TurnInterrupted) -> Iterator[Event]:
        yield {
            "type": "anima.interrupted",
            **_address(interrupted.header),
            "heard_text": interrupted.heard_text,
            "stages": [
                {"stage": s.stage, "elapsed_us": s.elapsed_us, "confirmed": s.confirmed}
                for s in interrupted.stages
            ],
        }

    def _turn_ended(self, ended: pb.TurnEnded) -> Iterator[Event]:
        header = ended.header
        status = _STATUS.get(ended.reason, "failed")
        text = {self._text_field: ended.text}
        if ended.text:
            yield self._in_part(header, f"{self._text_kind}.done") | text
        item = self._item(header.turn_id, "completed" if status == "completed" else "incomplete")
        item["content"] = [{"type": self._part_kind, **text}]
        yield self._in_response(header, "output_item.done") | {"output_index": 0, "item": item}
        yield _waterfall(ended)
        response = self._response(header.turn_id, status)
        response["output"] = [item]
        yield {
            "type": "response.done",
            "response": response,
            "anima": _address(header) | {"heard_text": ended.heard_text},
        }

    def _turn_paused(self, paused: pb.TurnPaused) -> Iterator[Event]:
        yield {"type": "anima.paused", **_address(paused.header), "at_sample": paused.at_sample}

    def _turn_resumed(self, resumed: pb.TurnResumed) -> Iterator[Event]:
        yield {"type": "anima.resumed", **_address(resumed.header), "paused_us": resumed.paused_us}

    def _quality(self, quality: pb.VideoQuality) -> Iterator[Event]:
        yield {
            "type": "anima.quality",
            **_address(quality.header),
            "level": _VIDEO_LEVELS.get(quality.level, "full"),
            "frame_rate_hz": quality.frame_rate_hz,
        }

    def _notice(self, notice: pb.Notice) -> Iterator[Event]:
        yield {
            "type": "anima.notice",
            "kind": _NOTICE_KINDS.get(notice.kind, "other"),
            "stage": notice.stage,
            "text": notice.text,
            "turn_id": notice.turn_id,
        }

    def _next_item(self) -> None:
        self._item_id = f"item_speech_{next(self._utterances)}"
        self._partial = ""

    def _response(self, turn_id: str, status: str) -> Event:
        return {"id": turn_id, "object": "realtime.response", "status": status, "output": []}

    def _item(self, turn_id: str, status: str) -> Event:
        return {
            "id": f"item_{turn_id}",
            "object": "realtime.item",
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [],
        }

    def _in_response(self, header: ChunkHeader, name: str) -> Event:
        return {"type": f"response.{name}", "response_id": header.turn_id}

    def _in_part(self, header: ChunkHeader, name: str) -> Event:
        place = {"item_id": f"item_{header.turn_id}", "output_index": 0, "content_index": 0}
        return self._in_response(header, name) | place


def error_event(message: str, *, code: str, client_event_id: object = None) -> Event:
    """Returns an `error` event; the connection stays open unless it is closed afterwards."""
    error = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
    if isinstance(client_event_id, str):
        error["event_id"] = client_event_id[:64]
    return {"type": "error", "error": error}


def _address(header: ChunkHeader) -> Event:
    return {"turn_id": header.turn_id, "epoch": header.epoch}


def _waterfall(ended: pb.TurnEnded) -> Event:
    return {
        "type": "anima.waterfall",
        **_address(ended.header),
        "first_media_us": ended.first_media_us,
        "sample_count": ended.sample_count,
        "spans": [
            {
                "stage": span.stage,
                "segment": span.segment,
                "start_us": span.start_us,
                "duration_us": span.duration_us,
                "first_output_us": span.first_output_us
                if span.HasField("first_output_us")
                else None,
            }
            for span in ended.spans
        ],
        "sources": [
            {
                "kind": _SOURCE_KINDS.get(source.kind, "other"),
                "name": source.name,
                "score": source.score,
            }
            for source in ended.sources
        ],
    }
