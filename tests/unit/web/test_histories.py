"""What a page that comes back is still known for."""

from __future__ import annotations

from dataclasses import replace

from anima.common.v1.common_pb2 import CharSpan, ChunkHeader, Marks, SampleSpan, WordMark
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.realtime.client_events import ClientConfig
from gateway.realtime.histories import Histories, Talked
from tests.fakes.mesh import FakeMesh
from tests.unit.web.clients import Page

NAME = "a-name-that-nobody-guesses"
CONFIG = ClientConfig(session_id=NAME, user_id="web-1")
HEADER = ChunkHeader(turn_id="t")


def started() -> pb.ConverseResponse:
    return pb.ConverseResponse(turn_started=pb.TurnStarted(header=HEADER, question="Who?"))


def answered(talked: Talked) -> None:
    talked.note(pb.ConverseResponse(text_delta=pb.TextDelta(header=HEADER, text="I am Ani.")))
    words = [
        WordMark(
            text=text,
            chars=CharSpan(start_char=start, end_char=end),
            samples=SampleSpan(start_sample=sample, sample_count=100),
        )
        for text, start, end, sample in [("I", 0, 1, 0), ("am", 2, 4, 1000), ("Ani", 5, 8, 2000)]
    ]
    talked.note(pb.ConverseResponse(marks=Marks(header=HEADER, words=words)))


def test_what_was_heard_is_kept() -> None:
    talked = Talked()
    talked.note(started())
    answered(talked)
    ended = pb.TurnEnded(header=HEADER, text="I am Ani.", heard_text="I am Ani.")
    talked.note(pb.ConverseResponse(turn_ended=ended))
    talked.cut(pb.PlaybackReport())

    assert talked.said == [("user", "Who?"), ("assistant", "I am Ani.")]


def test_answer_that_was_cut_counts_as_far_as_it_was_played() -> None:
    talked = Talked()
    talked.note(started())
    answered(talked)
    talked.cut(pb.PlaybackReport(turn_id="t", played_samples=1500))

    assert talked.said == [("user", "Who?"), ("assistant", "I am")]


def test_kept_for_some_minutes_for_the_same_names_only() -> None:
    clock = [0.0]
    histories = Histories(most=2, keep_s=60, now=lambda: clock[0])
    histories.keep(CONFIG, [("user", "Hi")])

    assert histories.take(CONFIG) == [("user", "Hi")]
    assert histories.take(replace(CONFIG, user_id="web-2")) == []
    assert histories.take(replace(CONFIG, persona="other")) == []
    clock[0] = 61
    assert histories.take(CONFIG) == []


def test_the_oldest_give_way_and_names_that_can_be_guessed_are_not_kept() -> None:
    histories = Histories(most=2)
    for number in range(3):
        histories.keep(replace(CONFIG, session_id=f"{NAME}-{number}"), [("user", "Hi")])
    histories.keep(replace(CONFIG, session_id="short"), [("user", "Hi")])

    kept = [bool(histories.take(replace(CONFIG, session_id=f"{NAME}-{n}"))) for n in range(3)]
    assert kept == [False, True, True]
    assert histories.take(replace(CONFIG, session_id="short")) == []


async def test_client_that_comes_back_is_still_known(page: Page, stages: FakeMesh) -> None:
    for _ in range(2):
        async with page.client() as client:
            await client.configure(media="pcm", session_id=NAME)
            await client.ask("Who are you?")
            await client.until("response.done")
    first, second = stages.llm.configs

    assert list(first.history) == []
    assert [message.text for message in second.history] == [
        "Who are you?",
        "This is the first clause, and this is the rest. Bye now.",
    ]
