"""Internal errors in a helper task of a session: the client is notified at once."""

from __future__ import annotations

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.listening.listening import Listening
from gateway.listening.microphone import Microphone
from gateway.session.session import Session
from gateway.session.turns.barge_in import BargeIn
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, run
from tests.unit.gateway.speaking import Speaker, speech
from tests.unit.gateway.test_faults import Fault

FAULTS = {
    "what feeds the recogniser": (Microphone, "read"),
    "what decides about a hold": (BargeIn, "expired"),
    "what judges the end of a turn": (Listening, "_enough_after"),
}


@pytest.mark.parametrize("where", FAULTS)
def test_fault_ends_the_session(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.guess_silence_ms, stages.asr.partial = LONG, 200, ""
        async with Session.open(stages.mesh(), pb.ConverseConfig()) as session:
            await session.text("Tell me all.")
            events = session.events()
            async for event in events:
                if event.WhichOneof("event") == "media":
                    break
            Fault(monkeypatch, *FAULTS[where])
            seconds = 3.0 if "hold" in where else 0.3
            await Speaker(session).say(speech(0.1, seconds, 0.4))
            with pytest.raises(ZeroDivisionError):
                async for _event in events:
                    pass

    run(main)
