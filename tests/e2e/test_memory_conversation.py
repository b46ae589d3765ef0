"""Ten sessions of one person: facts are stated, corrected and asked for through the gateway.

The language model stage and the memory are real; recognition, voice and face are not needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from anima.gateway import v1 as gateway
from anima.memory import v1 as wire
from memory.servicer import build as build_memory
from memory.settings import MemorySettings
from services.llm.servicer import build as build_llm
from services.llm.settings import LlmSettings
from services.runtime.calls.channels import open_channel
from services.runtime.config.settings import ServiceSettings
from services.runtime.server import serving
from testing.fakes.mesh import FakeMesh
from tests.e2e.conversation import conversation
from tests.requirements import need

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

USER = "ada"


class Person:
    """Talks to the gateway, one session after another, and inspects the memory."""

    def __init__(self, address: str, memory: MemoryServiceAsyncStub) -> None:
        self._address = address
        self._memory = memory
        self._sessions = 0

    async def says(self, *texts: str, user: str = USER) -> list[str]:
        """Says something in a new session and returns the answers."""
        self._sessions += 1
        config = gateway.ConverseConfig(
            user_id=user, session_id=f"{user}-{self._sessions}", text_only=True
        )
        answers = []
        async with conversation(self._address, config) as session:
            for text in texts:
                events = await session.turn(text)
                answers.append(events[-1].turn_ended.text)
        return answers

    async def facts(self, user: str = USER) -> list[wire.Item]:
        request = wire.ListRequest(user_id=user, kinds=[wire.ITEM_KIND_FACT])
        return list((await self._memory.List(request)).items)

    async def knows(self, *holding: str, user: str = USER) -> None:
        """Waits until exactly these facts hold; they are distilled after the turn."""

        def are_there(facts: Sequence[wire.Item]) -> bool:
            return {f.text for f in facts if not f.fact.valid_to_unix_ms} == set(holding)

        await self._until(are_there, user)

    async def _until(self, condition: Callable[[list[wire.Item]], bool], user: str) -> None:
        facts: list[wire.Item] = []
        try:
            async with asyncio.timeout(90):
                while not condition(facts := await self.facts(user)):
                    pass  # each call lets the service run
        except TimeoutError:
            raise AssertionError(f"the memory has {[fact.text for fact in facts]}") from None


@pytest.fixture
async def person(tmp_path: Path) -> AsyncIterator[Person]:
    need("encoder")
    models = ServiceSettings.from_environment().data_dir / "models"
    (tmp_path / "models").symlink_to(models, target_is_directory=True)
    settings = MemorySettings(listen="127.0.0.1:0", data_dir=tmp_path)
    async with AsyncExitStack() as stack:
        memory = await stack.enter_async_context(_served(build_memory, settings))
        llm_settings = LlmSettings.from_environment(listen="127.0.0.1:0")
        llm = await stack.enter_async_context(_served(build_llm, llm_settings))
        mesh = await stack.enter_async_context(FakeMesh())
        stub = await stack.enter_async_context(mesh.gateway(llm_target=llm, memory_target=memory))
        channel = await stack.enter_async_context(open_channel(memory))
        yield Person(stub.address, cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(channel)))


@asynccontextmanager
async def _served(build: Callable[[Any], Any], settings: ServiceSettings) -> AsyncIterator[str]:
    async with serving(build(settings), settings) as server:
        await server.ready
        yield server.address


async def test_ten_sessions(person: Person) -> None:
    # 1 to 3: facts are stated.
    await person.says("Hello, my name is Ada and I live in Graz.")
    await person.knows("My name is Ada.", "I live in Graz.")
    await person.says("My dog is called Rex.", "What can you do?")
    await person.says("I am allergic to peanuts.", "I really like hiking.")
    told = [
        "My name is Ada.",
        "My dog is called Rex.",
        "I am allergic to peanuts.",
        "I like hiking.",
    ]
    await person.knows(*told, "I live in Graz.")

    # 4: they are asked for.
    answers = await person.says("What is my name?", "What is my dog called?", "Where do I live?")
    assert ["Ada" in answers[0], "Rex" in answers[1], "Graz" in answers[2]] == [True] * 3, answers

    # 5: one changes; 6: the answer has the new one, not the old one.
    await person.says("Actually, I moved to Vienna last month.")
    await person.knows(*told, "I live in Vienna.")
    (answer,) = await person.says("Where do I live?")
    assert "Vienna" in answer
    assert "Graz" not in answer

    # 7: an answer is rejected and corrected.
    (answer, _) = await person.says(
        "What is my dog called?", "No, that's wrong, my dog is called Max."
    )
    assert "Rex" in answer
    told[1] = "My dog is called Max."
    await person.knows(*told, "I live in Vienna.")

    # 8: in the other language, without mixing up.
    await person.says("我的生日是五月三号。")
    await person.knows(*told, "I live in Vienna.", "我的生日是五月三号。")

    # 9 and 10: all current facts are known, and past ones are kept with their end.
    answers = await person.says("What is my dog called?", "What am I allergic to?")
    assert ["Max" in answers[0], "peanuts" in answers[1]] == [True] * 2, answers
    (answer,) = await person.says("我的生日是哪天？")
    assert "五月三号" in answer
    ended = {f.fact.value: f.fact for f in await person.facts() if f.fact.valid_to_unix_ms}
    assert set(ended) == {"Graz", "Rex"}
    assert all(fact.superseded_by and fact.source_item_ids for fact in ended.values())

    # No other user sees it.
    (answer,) = await person.says("What is my dog called?", user="eve")
    assert not {"Max", "Rex"} & set(answer.replace(".", " ").split())
    await person.knows(user="eve")


async def test_feedback_corrects(person: Person) -> None:
    await person.says("My name is Ada.", "My dog is called Rex.", "I like hiking.")
    await person.knows("My name is Ada.", "My dog is called Rex.", "I like hiking.")
    (answer, _) = await person.says("What is my name?", "That's not my name, it is Eve.")
    assert "Ada" in answer
    await person.knows("My name is Eve.", "My dog is called Rex.", "I like hiking.")
    (answer, _) = await person.says("What is my dog called?", "No, that's wrong, it's Max.")
    assert "Rex" in answer
    await person.knows("My name is Eve.", "My dog is called Max.", "I like hiking.")
    answers = await person.says("What is my name?", "What is my dog called?")
    assert ["Eve" in answers[0], "Max" in answers[1]] == [True] * 2, answers
    await person.says("I love opera.", "Forget that, please.")
    await person.says("不对，我叫小红。")
    await person.knows("我叫小红。", "My dog is called Max.", "I like hiking.")


async def test_facts_are_told_and_forgotten_whatever_words_are_used(person: Person) -> None:
    await person.says("I am allergic to shellfish.", "My name is Vera.", "I dislike olives.")
    told = ["My name is Vera.", "I do not like olives."]
    await person.knows(*told, "I am allergic to shellfish.")
    answers = await person.says("What do I hate?", "What do you know about me?")
    assert "olives" in answers[0]
    assert all(word in answers[1] for word in ("Vera", "olives", "shellfish")), answers

    (answer,) = await person.says("Please forget that I am allergic to shellfish.")
    assert "forgotten" in answer
    await person.knows(*told)
    (answer,) = await person.says("What am I allergic to?")
    assert "shellfish" not in answer
    (answer,) = await person.says("Forget my birthday.")
    assert "nothing" in answer

    answers = await person.says("Forget everything about me.", "Yes.")
    assert answers[0].endswith("?")
    assert "forgotten everything" in answers[1]
    await person.knows()
    (answer,) = await person.says("What is my name?")
    assert "Vera" not in answer
