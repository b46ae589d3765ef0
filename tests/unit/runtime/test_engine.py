"""The life cycle that engines of all stages share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from anima.common.v1 import EngineInfo as EngineInfoMessage
from memory.engine import MemoryEngine
from services.asr.engine import AsrEngine
from services.avatar.engine import AvatarEngine
from services.llm.engine import LlmEngine
from services.runtime.engine import Engine, EngineInfo, watch_of
from services.tts.engine import TtsEngine


class Steady:
    """An engine that never fails."""


class Watched:
    """An engine that has failed."""

    async def watch(self, report: Callable[[str], Awaitable[None]]) -> None:
        await report("it has failed")


def test_an_engine_is_described_by_one_message() -> None:
    info = EngineInfo(name="tone", version="1", licence="MIT", languages=("en", "zh"))
    assert info.message(capacity=3) == EngineInfoMessage(
        name="tone", version="1", licence="MIT", languages=["en", "zh"], capacity=3
    )


async def test_the_watch_of_an_engine_is_found_where_it_has_one() -> None:
    assert watch_of(Steady()) is None
    reports: list[str] = []

    async def report(reason: str) -> None:
        reports.append(reason)

    watch = watch_of(Watched())
    assert watch is not None
    await watch(report)
    assert reports == ["it has failed"]


@pytest.mark.parametrize("interface", [AsrEngine, AvatarEngine, LlmEngine, MemoryEngine, TtsEngine])
def test_the_engines_of_every_stage_live_alike(interface: type) -> None:
    assert Engine in interface.__mro__
    assert not vars(interface).keys() & {"open", "close"}
