"""A voice that takes seconds to load: the others speak at once, and it joins them later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from anima.tts.v1 import (
    VOICE_USE_ALWAYS,
    VOICE_USE_IN_TIME,
    VOICE_USE_LATE,
    VOICE_USE_LOADING,
    VOICE_USE_TOO_SLOW,
    ListVoicesRequest,
    Voice,
)
from services.runtime.config.settings import SettingsError
from services.runtime.process.compute import Compute
from services.tts.engine import EngineUnavailableError, Pace, TtsEngine
from services.tts.servicer import TtsServicer
from services.tts.settings import TtsSettings
from tests.unit.tts.test_selection import Engine, Measured

CONTEXT: Any = None


class Late(Measured):
    """Loads when it is told to."""

    def __init__(self, *, works: bool = True) -> None:
        super().__init__(0.2, 0.2)
        self.pace: Pace | None = None
        self.works = works
        self.told, self.told_again = asyncio.Event(), asyncio.Event()

    async def warm_up(self) -> None:
        await self.told.wait()
        if not self.works:
            raise EngineUnavailableError("it is broken")
        await super().warm_up()

    async def measure(self) -> None:
        await self.told_again.wait()
        await super().measure()


@asynccontextmanager
async def servicer_of(*engines: TtsEngine, names: str = "auto") -> AsyncIterator[TtsServicer]:
    compute = Compute(threads=1, name="test")
    servicer = TtsServicer(
        engines=engines,
        compute=compute,
        settings=TtsSettings(engine=names),
        measured_again_after_s=(0,),
    )
    try:
        yield servicer
    finally:
        await servicer.close()


async def best(servicer: TtsServicer) -> Voice:
    return (await servicer.ListVoices(ListVoicesRequest(language="en"), CONTEXT)).voices[0]


async def next_turn(servicer: TtsServicer) -> Voice:
    """Lets the other tasks run once."""
    await asyncio.sleep(0)
    return await best(servicer)


async def listed(servicer: TtsServicer) -> Sequence[Voice]:
    return (await servicer.ListVoices(ListVoicesRequest(), CONTEXT)).voices


def natural_of(voices: Sequence[Voice]) -> Voice:
    return next(voice for voice in voices if voice.engine == "natural")


async def engine_names(servicer: TtsServicer) -> set[str]:
    return {
        voice.engine for voice in (await servicer.ListVoices(ListVoicesRequest(), CONTEXT)).voices
    }


async def test_the_others_speak_until_it_is_loaded() -> None:
    late = Late()
    async with servicer_of(late, Engine("flite", {"en": 30}, "en-US")) as servicer:
        await servicer.warm_up()
        assert ((await best(servicer)).engine, (await best(servicer)).use) == (
            "flite",
            VOICE_USE_ALWAYS,
        )
        natural = natural_of(await listed(servicer))
        assert natural.use == VOICE_USE_LOADING
        assert natural.first_clause_ms == 0
        late.told.set()
        voice = await best(servicer)
        while voice.engine != "natural":
            voice = await next_turn(servicer)
        assert voice.use == VOICE_USE_IN_TIME
        assert voice.first_clause_ms == 200
        assert voice.real_time_factor == 0.2


async def test_one_that_seems_too_slow_is_measured_again() -> None:
    late = Late()
    late.measured = Pace(first_clause_s=0.9, real_time_factor=0.8)
    late.told.set()
    async with servicer_of(late, Engine("espeak", {"*": 10}, "en-US")) as servicer:
        await servicer.warm_up()
        while (voice := natural_of(await listed(servicer))).use != VOICE_USE_TOO_SLOW:
            await next_turn(servicer)
        assert (await best(servicer)).engine == "espeak"
        late.measured = Pace(first_clause_s=0.95, real_time_factor=0.3)
        late.told_again.set()
        while (voice := await best(servicer)).engine != "natural":
            await next_turn(servicer)
        assert (voice.use, voice.first_clause_ms) == (VOICE_USE_LATE, 900)


async def test_one_that_cannot_be_loaded_is_left_out() -> None:
    late = Late(works=False)
    async with servicer_of(late, Engine("flite", {"en": 30}, "en-US")) as servicer:
        await servicer.warm_up()
        late.told.set()
        while "natural" in await engine_names(servicer):
            await next_turn(servicer)
        assert (await best(servicer)).engine == "flite"


@pytest.mark.parametrize("names", ["natural,flite", "auto"])
async def test_alone_or_named_it_is_waited_for(names: str) -> None:
    late = Late()
    others = [Engine("flite", {"en": 30}, "en-US")] if names != "auto" else []
    async with servicer_of(late, *others, names=names) as servicer:
        late.told.set()
        await servicer.warm_up()
        assert (await best(servicer)).engine == "natural"


async def test_a_named_one_that_cannot_be_loaded_ends_the_start() -> None:
    late = Late(works=False)
    late.told.set()
    async with servicer_of(late, names="natural") as servicer:
        with pytest.raises(SettingsError, match="ANIMA_TTS_ENGINE: natural: it is broken"):
            await servicer.warm_up()
