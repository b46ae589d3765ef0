"""The session's events under the names of the OpenAI Realtime API."""

import json
from typing import Any

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1.llm_pb2 import Persona, Source, SourceKind
from gateway.realtime.server_events import Translator, error_event

HEADER = common.ChunkHeader(turn_id="t1", epoch=2, segment=1, sequence=1)


def translator(*, spoken: bool = True) -> Translator:
    return Translator(spoken=spoken, input_rate_hz=16_000, output_rate_hz=24_000)


def events(**arm: Any) -> list[dict[str, Any]]:
    made = translator().translate(pb.ConverseResponse(**arm))
    assert json.loads(json.dumps(made)) == made
    return made


def types(**arm: Any) -> list[str]:
    return [event["type"] for event in events(**arm)]


def test_every_event_but_media_is_told() -> None:
    arms = pb.ConverseResponse.DESCRIPTOR.oneofs_by_name["event"].fields
    silent = []
    for arm in arms:
        response = pb.ConverseResponse()
        getattr(response, arm.name).SetInParent()
        if arm.name == "marks":
            response.marks.words.add(text="hi")
        if not translator().translate(response):
            silent.append(arm.name)

    assert silent == ["media"]


def test_response_goes_from_created_to_done() -> None:
    assert types(turn_started=pb.TurnStarted(header=HEADER, question="hi")) == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert types(turn_ended=pb.TurnEnded(header=HEADER, text="Hello.")) == [
        "response.output_audio_transcript.done",
        "response.output_item.done",
        "anima.waterfall",
        "response.done",
    ]


def test_text_is_a_transcript_only_if_it_is_spoken() -> None:
    delta = pb.ConverseResponse(text_delta=pb.TextDelta(header=HEADER, text="Hi", start_char=4))

    (spoken,) = translator().translate(delta)
    (written,) = translator(spoken=False).translate(delta)

    assert spoken["type"] == "response.output_audio_transcript.delta"
    assert written["type"] == "response.output_text.delta"
    assert spoken["delta"] == "Hi"
    assert spoken["anima"] == {"turn_id": "t1", "epoch": 2, "start_char": 4}


def test_reasons_become_statuses() -> None:
    statuses = []
    for reason in common.EndReason.values()[1:]:
        done = events(turn_ended=pb.TurnEnded(header=HEADER, reason=reason))[-1]
        statuses.append(done["response"]["status"])

    assert statuses == ["completed", "cancelled", "incomplete", "failed"]


def test_partials_are_told_whole_because_they_are_revised() -> None:
    told = translator()
    made: list[dict[str, Any]] = []
    for text, final in [("what", False), ("what can", False), ("watch", False), ("what can", True)]:
        transcript = pb.UserTranscript(text=text, final=final)
        made += told.translate(pb.ConverseResponse(user_transcript=transcript))

    name = "conversation.item.input_audio_transcription"
    assert [event["type"] for event in made] == [f"{name}.delta"] * 3 + [f"{name}.completed"]
    assert [event.get("delta") for event in made] == ["what", " can", "", None]
    assert [event["transcript"] for event in made] == ["what", "what can", "watch", "what can"]
    assert len({event["item_id"] for event in made}) == 1


def test_next_utterance_is_another_item() -> None:
    told = translator()
    speech = pb.ConverseResponse(speech_started=pb.SpeechStarted(at_sample=8_000))

    (first,) = told.translate(speech)
    (second,) = told.translate(speech)

    assert first["audio_start_ms"] == 500
    assert first["item_id"] != second["item_id"]


def test_words_come_with_their_places_and_times() -> None:
    word = common.WordMark(
        text="数",
        chars=common.CharSpan(start_char=3, end_char=4),
        samples=common.SampleSpan(start_sample=2_400, sample_count=4_800),
    )

    (event,) = events(marks=common.Marks(header=HEADER, words=[word]))

    assert event["sample_rate_hz"] == 24_000
    assert event["segment"] == 1
    assert event["words"] == [
        {"text": "数", "start_char": 3, "end_char": 4, "start_sample": 2_400, "sample_count": 4_800}
    ]


def test_interruption_says_what_was_heard_and_who_stopped() -> None:
    stop = pb.StageStop(stage="tts", elapsed_us=900, confirmed=True)

    (event,) = events(
        turn_interrupted=pb.TurnInterrupted(header=HEADER, stages=[stop], heard_text="Hel")
    )

    assert (event["type"], event["epoch"], event["heard_text"]) == ("anima.interrupted", 2, "Hel")
    assert event["stages"] == [{"stage": "tts", "elapsed_us": 900, "confirmed": True}]


def test_waterfall_tells_apart_no_output_and_output_at_once() -> None:
    spans = [
        pb.StageSpan(stage="llm", duration_us=5, first_output_us=0),
        pb.StageSpan(stage="memory", duration_us=5),
    ]
    source = Source(kind=SourceKind.SOURCE_KIND_DOCUMENT, name="faq", score=0.5)
    ended = pb.TurnEnded(header=HEADER, spans=spans, sources=[source])

    waterfall = next(e for e in events(turn_ended=ended) if e["type"] == "anima.waterfall")

    assert [span["first_output_us"] for span in waterfall["spans"]] == [0, None]
    assert waterfall["sources"] == [{"kind": "document", "name": "faq", "score": 0.5}]


def test_session_says_whether_there_is_video() -> None:
    persona = Persona(name="anima", display_name="Anima")

    (event,) = events(session_started=pb.SessionStarted(session_id="s", persona=persona))

    assert event["video"] is None
    assert event["persona"] == {"name": "anima", "display_name": "Anima"}


def test_error_names_the_event_that_caused_it() -> None:
    event = error_event("type: wrong", code="unknown_event", client_event_id="e1")

    assert event["error"]["event_id"] == "e1"
    assert event["error"]["code"] == "unknown_event"
    assert "event_id" not in error_event("x", code="y", client_event_id=5)["error"]
