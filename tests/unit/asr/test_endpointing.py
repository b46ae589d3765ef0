"""The endpointing state machine: exact times, and the order of events for any input."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.asr.front_end.endpointing import (
    EndGuessed,
    Endpointer,
    EndpointEvent,
    EndpointingLimits,
    SpeechWentOn,
    UtteranceEnded,
    UtteranceStarted,
)

RATE_HZ = 16_000
WINDOW = 512
SPEECH, UNSURE, SILENCE = 0.9, 0.4, 0.1

LETTERS: dict[type, str] = {
    UtteranceStarted: "s",
    EndGuessed: "g",
    SpeechWentOn: "r",
    UtteranceEnded: "e",
}


def endpointer(**limits: int) -> Endpointer:
    return Endpointer(EndpointingLimits(**limits), sample_rate_hz=RATE_HZ, window_samples=WINDOW)


def hear(machine: Endpointer, *stretches: tuple[float, int]) -> list[EndpointEvent]:
    """Feeds stretches of (probability, number of windows)."""
    return [
        event
        for probability, windows in stretches
        for _ in range(windows)
        for event in machine.accept(probability)
    ]


def test_an_utterance_from_start_to_end() -> None:
    events = hear(endpointer(), (SILENCE, 20), (SPEECH, 10), (SILENCE, 20))
    assert events == [
        UtteranceStarted(at_sample=20 * WINDOW, audio_from_sample=12 * WINDOW),
        EndGuessed(at_sample=30 * WINDOW),
        UtteranceEnded(at_sample=30 * WINDOW),
    ]


def test_pre_roll_stops_at_the_start_of_the_stream() -> None:
    events = hear(endpointer(), (SILENCE, 2), (SPEECH, 3))
    assert events == [UtteranceStarted(at_sample=2 * WINDOW, audio_from_sample=0)]


def test_pre_roll_takes_no_audio_of_the_utterance_before() -> None:
    events = hear(endpointer(end_silence_ms=64), (SPEECH, 5), (SILENCE, 2), (SPEECH, 3))
    assert events[-1] == UtteranceStarted(at_sample=7 * WINDOW, audio_from_sample=5 * WINDOW)


def test_a_click_is_not_speech() -> None:
    assert hear(endpointer(), (SPEECH, 2), (SILENCE, 1), (SPEECH, 2), (SILENCE, 30)) == []


def test_uncertain_windows_neither_end_nor_break_speech() -> None:
    machine = endpointer()
    started = hear(machine, (SPEECH, 2), (UNSURE, 5), (SPEECH, 1))
    assert [event.at_sample for event in started] == [0]
    assert hear(machine, (UNSURE, 60)) == []
    assert hear(machine, (SILENCE, 1), (UNSURE, 6)) == [EndGuessed(at_sample=68 * WINDOW)]


def test_speech_after_a_guess_resumes_the_utterance() -> None:
    events = hear(endpointer(), (SPEECH, 5), (SILENCE, 10), (SPEECH, 5), (SILENCE, 16))
    assert events == [
        UtteranceStarted(at_sample=0, audio_from_sample=0),
        EndGuessed(at_sample=5 * WINDOW),
        SpeechWentOn(at_sample=15 * WINDOW, audio_from_sample=7 * WINDOW),
        EndGuessed(at_sample=20 * WINDOW),
        UtteranceEnded(at_sample=20 * WINDOW),
    ]


def test_a_long_utterance_is_cut_and_the_next_one_follows_without_a_gap() -> None:
    events = hear(endpointer(max_utterance_ms=320), (SPEECH, 13))
    assert events == [
        UtteranceStarted(at_sample=0, audio_from_sample=0),
        UtteranceEnded(at_sample=10 * WINDOW),
        UtteranceStarted(at_sample=10 * WINDOW, audio_from_sample=10 * WINDOW),
    ]


def test_no_guess_when_the_end_comes_first() -> None:
    events = hear(endpointer(guess_silence_ms=500, end_silence_ms=100), (SPEECH, 4), (SILENCE, 40))
    assert [type(event) for event in events] == [UtteranceStarted, UtteranceEnded]


def test_finish_ends_an_open_utterance_once() -> None:
    machine = endpointer()
    assert machine.finish() == []
    hear(machine, (SPEECH, 5), (SILENCE, 2))
    assert machine.finish() == [UtteranceEnded(at_sample=5 * WINDOW)]
    assert machine.finish() == []


def test_drop_forgets_the_utterance_and_its_audio() -> None:
    machine = endpointer()
    hear(machine, (SPEECH, 5))
    machine.drop()
    assert not machine.in_utterance
    assert hear(machine, (SILENCE, 60)) == []
    hear(machine, (SPEECH, 5))
    machine.drop()
    events = hear(machine, (SPEECH, 3))
    assert events == [UtteranceStarted(at_sample=70 * WINDOW, audio_from_sample=70 * WINDOW)]


@pytest.mark.parametrize("start_speech_ms", [1, 32, 96, 400])
def test_start_speech_is_heard_for_as_long_as_it_says(start_speech_ms: int) -> None:
    machine = endpointer(start_speech_ms=start_speech_ms)
    windows = -(-start_speech_ms // 32)
    assert hear(machine, (SPEECH, windows - 1)) == []
    assert len(hear(machine, (SPEECH, 1))) == 1


probabilities = st.lists(
    st.one_of(st.sampled_from([SPEECH, UNSURE, SILENCE, float("nan")]), st.floats(0, 1)),
    max_size=300,
)
stretches = st.lists(
    st.tuples(st.sampled_from([SPEECH, UNSURE, SILENCE]), st.integers(1, 25)), max_size=30
).map(lambda parts: [probability for probability, windows in parts for _ in range(windows)])
limits = st.builds(
    EndpointingLimits,
    start_speech_ms=st.integers(1, 500),
    guess_silence_ms=st.integers(1, 800),
    end_silence_ms=st.integers(1, 1200),
    max_utterance_ms=st.integers(1, 4000),
    pre_roll_ms=st.integers(0, 400),
)


@given(heard=st.one_of(probabilities, stretches), within=limits)
def test_order_and_times_of_events_hold_for_anything_heard(
    heard: list[float], within: EndpointingLimits
) -> None:
    machine = Endpointer(within, sample_rate_hz=RATE_HZ, window_samples=WINDOW)
    events: list[EndpointEvent] = []
    audio_taken_to = 0
    for number, probability in enumerate(heard):
        kept_from = machine.keep_from_sample
        new = machine.accept(probability)
        now = (number + 1) * WINDOW
        for event in new:
            assert 0 <= event.at_sample <= now
            if isinstance(event, UtteranceStarted | SpeechWentOn):
                assert kept_from <= event.audio_from_sample <= event.at_sample
                assert event.audio_from_sample >= audio_taken_to
            else:
                audio_taken_to = event.at_sample
        events += new
    events += machine.finish()
    order = "".join(LETTERS[type(event)] for event in events)
    assert re.fullmatch(r"(s(gr)*g?e)*", order)
    at_samples = [event.at_sample for event in events]
    assert at_samples == sorted(at_samples)


@given(
    heard=st.lists(st.tuples(st.sampled_from([SPEECH, SILENCE]), st.integers(1, 60)), max_size=20),
    within=limits,
)
def test_no_utterance_is_longer_than_the_limit(
    heard: list[tuple[float, int]], within: EndpointingLimits
) -> None:
    machine = Endpointer(within, sample_rate_hz=RATE_HZ, window_samples=WINDOW)
    events = [*hear(machine, *heard), *machine.finish()]
    longest_ms = max(within.max_utterance_ms, within.start_speech_ms)
    starts = [event.at_sample for event in events if isinstance(event, UtteranceStarted)]
    ends = [event.at_sample for event in events if isinstance(event, UtteranceEnded)]
    for start, end in zip(starts, ends, strict=True):
        assert 0 < end - start < longest_ms * RATE_HZ // 1000 + WINDOW
