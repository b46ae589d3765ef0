"""A client that does not read holds back production, paced or not."""

from __future__ import annotations

import asyncio

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.session.session import Session
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, RATE, run


@pytest.mark.parametrize("face", [True, False])
@pytest.mark.parametrize("pacing", [pb.PACING_REAL_TIME, pb.PACING_AS_MADE])
def test_nothing_is_made_that_nobody_reads(face: bool, pacing: pb.Pacing.ValueType) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.tts.ms_per_char = LONG, 200  # five minutes
        config = pb.ConverseConfig(pacing=pacing, audio_only=not face)
        async with Session.open(stages.mesh(), config) as session:
            await session.text("Tell me all.")
            await asyncio.sleep(60)
            made = 0
            while not stages.tts.made.empty():
                made = stages.tts.made.get_nowait()
            assert 2 < made / RATE < 30

    run(main)
