"""A short soak: the part of its verdict that does not depend on the load of the machine."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bench.soak import show, soak
from bench.talkers.talking import Fate
from tests.requirements import need

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(300)]


async def test_nothing_is_lost_stale_or_left_behind() -> None:
    need("encoder")
    record = await soak(0.2, sessions=3, seed=5, known_people=2)
    assert not record.faults()
    assert record.fates()[Fate.WHOLE]
    assert record.fates()[Fate.INTERRUPTED]
    printed = io.StringIO()
    show(record, 0.2, 3, Console(file=printed, width=120))
    for process in record.usage:
        assert f"│ {process} " in printed.getvalue()
