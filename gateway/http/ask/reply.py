"""A whole answer as JSON: text, subtitles, and the times of words and stages."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict

from anima.common.v1 import common_pb2 as common
from gateway.http.ask import subtitles
from gateway.http.ask.answer import Reply


def to_json(reply: Reply) -> dict[str, Any]:
    """Returns question, text, subtitles, word times and stage times; times in ms."""
    lines = subtitles.cues(reply.text, reply.words, sample_rate_hz=reply.sample_rate_hz)
    ended = MessageToDict(
        reply.ended, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {
        "question": reply.question,
        "text": reply.text,
        "turn_id": reply.ended.header.turn_id,
        "sources": ended["sources"],
        "first_media_ms": reply.ended.first_media_us / 1000,
        "duration_ms": len(reply.pcm) // 2 * 1000 // max(1, reply.sample_rate_hz),
        "spans": [_span(span) for span in reply.ended.spans],
        "words": [_word(word, reply.sample_rate_hz) for word in reply.words],
        "subtitles": {"vtt": subtitles.to_vtt(lines), "srt": subtitles.to_srt(lines)},
        "notices": [notice.text for notice in reply.notices],
    }


def _span(span: Any) -> dict[str, Any]:
    first = span.first_output_us / 1000 if span.HasField("first_output_us") else None
    return {
        "stage": span.stage,
        "segment": span.segment,
        "start_ms": span.start_us / 1000,
        "duration_ms": span.duration_us / 1000,
        "first_output_ms": first,
    }


def _word(word: common.WordMark, rate_hz: int) -> dict[str, Any]:
    return {
        "text": word.text,
        "start_char": word.chars.start_char,
        "end_char": word.chars.end_char,
        "start_ms": word.samples.start_sample * 1000 / rate_hz,
        "duration_ms": word.samples.sample_count * 1000 / rate_hz,
    }
