"""The choices of a session, and how rarely the stages are asked for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

import anima.avatar.v1 as avatar
import anima.llm.v1 as llm
import anima.tts.v1 as tts
from gateway.stages.catalogue import Catalogue, CatalogueReader
from services.runtime.errors import Unavailable
from services.runtime.process.tasks import Tasks, cancelled
from testing.fakes.direct import rpc_error
from testing.virtual_time import in_virtual_time

LISTS = {
    "llm": llm.ListPersonasResponse(personas=[llm.Persona(name="ani")]),
    "tts": tts.ListVoicesResponse(voices=[tts.Voice(name="amy")]),
    "avatar": avatar.ListAvatarsResponse(avatars=[avatar.Avatar(name="ani")]),
}


class Listing:
    """Stages that return their lists after a delay, and count the requests."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.away: set[str] = set()
        self.delay_s = 0.5
        self.reader = CatalogueReader(self._stub, Tasks("test"))

    def _stub(self, stage: str) -> Any:
        async def answer(request: Any, timeout: float) -> Any:  # noqa: ASYNC109
            self.asked[stage] += 1
            await asyncio.sleep(min(self.delay_s, timeout))
            if stage in self.away:
                raise rpc_error(Unavailable(f"{stage} is away"))
            return LISTS[stage]

        methods = {"llm": "ListPersonas", "tts": "ListVoices", "avatar": "ListAvatars"}
        return SimpleNamespace(**{methods[stage]: answer})


def with_listing(main: Callable[[Listing], Any]) -> None:
    async def run() -> None:
        await main(Listing())

    in_virtual_time(run)


def test_sessions_that_open_together_ask_once() -> None:
    async def main(stages: Listing) -> None:
        read = await asyncio.gather(*(stages.reader.read() for _ in range(10)))
        assert stages.asked == {"llm": 1, "tts": 1, "avatar": 1}
        assert all([each.name for each in found.personas] == ["ani"] for found in read)

    with_listing(main)


def test_a_session_that_leaves_does_not_cancel_the_question_of_the_others() -> None:
    async def main(stages: Listing) -> None:
        tasks = Tasks("sessions")
        leaving, staying = (tasks.start(stages.reader.read()) for _ in range(2))
        await asyncio.sleep(0.1)
        await cancelled([leaving])
        assert (await staying).voices[0].name == "amy"
        assert stages.asked["tts"] == 1

    with_listing(main)


def test_a_stage_that_is_away_is_not_asked_by_every_session() -> None:
    async def main(stages: Listing) -> None:
        stages.away = {"avatar"}
        await stages.reader.read()
        before = asyncio.get_running_loop().time()
        found = [await stages.reader.read() for _ in range(5)]
        assert asyncio.get_running_loop().time() == before, "nobody waits for it again"
        assert stages.asked == {"llm": 1, "tts": 1, "avatar": 1}
        assert all(each == Catalogue(each.personas, each.voices, ()) for each in found)

    with_listing(main)


def test_all_are_asked_again_after_a_while_and_what_was_known_stays() -> None:
    async def main(stages: Listing) -> None:
        known = await stages.reader.read()
        stages.away = {"llm", "tts"}
        await asyncio.sleep(5.1)
        assert await stages.reader.read() == known
        assert stages.asked == {"llm": 2, "tts": 2, "avatar": 2}

    with_listing(main)


def test_while_there_is_nobody_to_talk_to_the_language_model_is_asked_each_time() -> None:
    async def main(stages: Listing) -> None:
        stages.away = {"llm"}
        assert not (await stages.reader.read()).personas
        stages.away = set()
        assert (await stages.reader.read()).personas
        assert stages.asked == {"llm": 2, "tts": 1, "avatar": 1}

    with_listing(main)


@pytest.mark.parametrize("while_asked", [False, True])
def test_what_has_changed_is_asked_for_again(while_asked: bool) -> None:
    async def main(stages: Listing) -> None:
        tasks = Tasks("sessions")
        reading = tasks.start(stages.reader.read())
        if while_asked:
            await asyncio.sleep(0.1)
            assert stages.asked["avatar"] == 1
        else:
            await reading
        stages.reader.expire("avatar")
        await reading
        await stages.reader.read()
        assert stages.asked == cast(Any, {"llm": 1, "tts": 1, "avatar": 2})

    with_listing(main)
