"""A short soak: what must hold on a busy machine too."""

from __future__ import annotations

import pytest

from bench.soak import soak
from bench.talking import Fate
from tests.requirements import need

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(180)]


async def test_nothing_is_lost_stale_or_left_behind() -> None:
    need("minilm")
    record = await soak(0.2, sessions=3, seed=5, known_people=2)
    assert not record.faults()
    assert record.fates()[Fate.WHOLE]
    assert record.fates()[Fate.INTERRUPTED]
