"""A stage that does not answer an interrupt, in virtual time."""

from __future__ import annotations

import anima.common.v1 as common
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, conversation, run


def test_deaf_stage_is_cut_off_and_reported() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.llm.interval_s = LONG, 0.05
        stages.tts.deaf = True
        async with conversation(stages.mesh(stop_timeout_ms=100)) as (session, said):
            await session.text("Tell me.")
            await said.until_kind("media", 3)
            await session.stop()
            interrupted = await said.until_kind("turn_interrupted")
            confirmed = {stop.stage: stop.confirmed for stop in interrupted.stages}
            assert confirmed == {"llm": True, "tts": False, "avatar": True}
            (late,) = [stop for stop in interrupted.stages if stop.stage == "tts"]
            assert late.elapsed_us == 100_000
            stages.tts.deaf = False
            stages.llm.answer = ["This works again, you see."]
            await session.text("And now?")
            ended = await said.until_kind("turn_ended", 2)
            assert ended.reason == common.END_REASON_COMPLETE

    run(main)
