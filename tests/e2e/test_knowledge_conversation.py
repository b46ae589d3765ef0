"""A document is added, asked for through the gateway, and removed.

The language model stage and the memory are real; recognition, voice and face are not needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from anima.gateway import v1 as gateway
from anima.llm.v1 import SOURCE_KIND_DOCUMENT
from anima.memory import v1 as wire
from memory.servicer import build as build_memory
from memory.settings import MemorySettings
from services.llm.servicer import build as build_llm
from services.llm.settings import LlmSettings
from services.runtime.calls.channels import open_channel
from services.runtime.config.settings import ServiceSettings
from services.runtime.server import serving
from testing.fakes.mesh import FakeMesh
from tests.documents import HEADINGS, added, pdf
from tests.e2e.conversation import conversation
from tests.requirements import need

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

HOLIDAYS = "How many days of paid holiday does an employee get?"


class Person:
    """Asks the gateway, each question in its own session."""

    def __init__(self, address: str, memory: MemoryServiceAsyncStub) -> None:
        self._address = address
        self.memory = memory
        self._sessions = 0

    async def asks(self, text: str, user: str) -> gateway.TurnEnded:
        self._sessions += 1
        config = gateway.ConverseConfig(
            user_id=user, session_id=f"s-{self._sessions}", text_only=True
        )
        async with conversation(self._address, config) as session:
            return (await session.turn(text))[-1].turn_ended


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


async def test_an_answer_cites_a_document_until_it_is_removed(person: Person) -> None:
    before = await person.asks(HOLIDAYS, "ada")
    assert "27" not in before.text

    owner = wire.KnowledgeOwner(user_id="ada")
    file = pdf(title="Staff handbook", headings=HEADINGS)
    result, _ = await added(person.memory, owner, "handbook.pdf", file)
    answer = await person.asks(HOLIDAYS, "ada")
    assert "27 days" in answer.text
    assert "Staff handbook" in answer.text
    (source,) = answer.sources
    assert source.kind == SOURCE_KIND_DOCUMENT
    assert source.name == "Staff handbook · page 2 · Holidays"

    # It belongs to her alone.
    assert "27" not in (await person.asks(HOLIDAYS, "eve")).text

    request = wire.RemoveDocumentRequest(owner=owner, document_id=result.document.document_id)
    await person.memory.RemoveDocument(request)
    after = await person.asks(HOLIDAYS, "ada")
    assert "27" not in after.text
    assert SOURCE_KIND_DOCUMENT not in {one.kind for one in after.sources}


async def test_what_a_persona_shares_is_told_to_everybody(person: Person) -> None:
    personas = LlmSettings.from_environment().personas_dir
    (name, *_) = sorted(path.name for path in personas.iterdir() if path.is_dir())
    note = "咖啡馆每天早上八点开门，晚上九点关门。".encode()
    owner = wire.KnowledgeOwner(persona=name)
    await added(person.memory, owner, "guide.txt", b"The cafe opens at eight. It has 40 seats.")
    await added(person.memory, owner, "cafe.zh.txt", note, title="咖啡馆指南")
    for user in ("ada", ""):
        answer = await person.asks("How many seats does the cafe have?", user)
        assert "40 seats" in answer.text, answer.text
        assert "guide" in answer.text
    answer = await person.asks("咖啡馆几点开门？", "ada")
    assert "八点开门" in answer.text, answer.text
    assert "《咖啡馆指南》" in answer.text
