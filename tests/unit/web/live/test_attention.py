"""The look of the silent face, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from anima.avatar.v1.avatar_pb2 import Activity
from anima.common.v1.common_pb2 import MediaChunk
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.webrtc.attention import IDLE, LISTENING, THINKING, Attention, Pace
from testing.virtual_time import in_virtual_time

SPEECH = pb.ConverseResponse(speech_started=pb.SpeechStarted())
GUESS = pb.ConverseResponse(user_transcript=pb.UserTranscript(text="what"))
HEARD = pb.ConverseResponse(user_transcript=pb.UserTranscript(text="what now", final=True))
ASKED = pb.ConverseResponse(turn_started=pb.TurnStarted())
MEDIA = pb.ConverseResponse(media=MediaChunk())
ENDED = pb.ConverseResponse(turn_ended=pb.TurnEnded())
RESUMED = pb.ConverseResponse(turn_resumed=pb.TurnResumed())
NOTICE = pb.ConverseResponse(notice=pb.Notice(kind=pb.NOTICE_KIND_NOT_UNDERSTOOD))

Step = pb.ConverseResponse | float
"""An event, or seconds that pass."""


def looks(*steps: Step, pace: Pace | None = None) -> list[Activity.ValueType]:
    """Returns the wanted looks in order."""

    async def main() -> list[Activity.ValueType]:
        wanted = [IDLE]

        def note() -> None:
            if attention.wanted != wanted[-1]:
                wanted.append(attention.wanted)

        attention = Attention(pace or Pace(), changed=note)
        for step in steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                attention.note(step)
        attention.close()
        return wanted

    return in_virtual_time(main)


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ([ASKED, 0.5, MEDIA, 5.0, ENDED], [IDLE]),
        ([ASKED, 3.0, MEDIA, 5.0, ENDED], [IDLE, THINKING, IDLE]),
        ([SPEECH, GUESS, 1.0, HEARD, ASKED, 0.3, MEDIA, 1.0, ENDED], [IDLE, LISTENING, IDLE]),
        ([SPEECH, GUESS, 1.0, HEARD, ASKED, 2.0, MEDIA], [IDLE, LISTENING, THINKING]),
        ([SPEECH, 1.0, NOTICE], [IDLE, LISTENING, IDLE]),
        ([SPEECH, 1.0, RESUMED], [IDLE, LISTENING, IDLE]),
        ([SPEECH, 60.0], [IDLE, LISTENING, IDLE]),
        ([SPEECH, 8.0, GUESS, 8.0, GUESS, 8.0], [IDLE, LISTENING]),
        # The person interrupts and speaks on while the answer ends.
        ([ASKED, 0.3, MEDIA, 1.0, SPEECH, GUESS, ENDED, 1.0, GUESS], [IDLE, LISTENING]),
    ],
)
def test_look_follows_the_conversation(
    steps: Sequence[Step], wanted: list[Activity.ValueType]
) -> None:
    assert looks(*steps) == wanted


def test_where_answers_take_long_thinking_begins_at_once_and_is_told_beforehand() -> None:
    pace = Pace()
    for _ in range(8):
        pace.began_after(2.5)

    async def main() -> tuple[bool, bool, Activity.ValueType]:
        attention = Attention(pace, changed=lambda: None)
        before = attention.thinks_at_answer
        attention.asked()
        asked = attention.thinks_at_answer
        attention.close()
        return before, asked, attention.wanted

    assert in_virtual_time(main) == (False, True, THINKING)


def test_pace_is_learned_from_the_answers() -> None:
    pace = Pace()
    slow: list[Step] = [ASKED, 3.0, MEDIA, ENDED]
    looks(*slow * 5, pace=pace)

    assert pace.long
    assert pace.wait_s == pytest.approx(3.0, abs=0.6)
    quick: list[Step] = [ASKED, 0.3, MEDIA, ENDED]
    looks(*quick * 8, pace=pace)
    assert not pace.long
