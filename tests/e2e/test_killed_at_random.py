"""The short form of `python -m bench.chaos`: real processes killed at random moments."""

from __future__ import annotations

import pytest

from bench.chaos import chaos
from tests.requirements import need

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(300)]


async def test_conversations_survive_and_nothing_is_lost_or_left() -> None:
    need("minilm")
    seen = await chaos(6, at_a_time=3, seed=7)
    assert not seen.faults()
