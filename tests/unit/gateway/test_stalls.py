"""An event loop that is blocked for a while, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from testing.fakes.direct import DirectStages
from testing.virtual_time import VirtualTimeLoop
from tests.unit.gateway.conversing import LONG, RATE, conversation, run


@pytest.mark.parametrize("stall_s", [0.1, 0.5])
def test_stall_of_the_loop_leaves_neither_a_burst_nor_drift(stall_s: float) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:10]
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 12)
            loop.stall(stall_s)
            awake_at = loop.time()
            ended = await said.until_kind("turn_ended", timeout_s=60)
            zero = said.times("media")[0]
            caught_up = 0
            for at, media in zip(said.times("media"), said.all("media"), strict=True):
                due = zero + max(0.0, media.audio.start_sample / RATE - 0.3)
                if due < awake_at <= at:
                    assert at == pytest.approx(awake_at, abs=2e-3)
                    caught_up += len(media.audio.pcm) // 2
                else:
                    assert at == pytest.approx(due, abs=2e-3)
            # Media that was due meanwhile, and at most one more message; nothing later.
            assert caught_up / RATE <= stall_s + 0.2
            assert said.times("turn_ended")[0] - zero == pytest.approx(
                ended.sample_count / RATE, abs=0.01
            )

    run(main)
