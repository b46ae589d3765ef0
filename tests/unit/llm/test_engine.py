from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from anima.common.v1 import Interrupt
from anima.llm.v1 import GenerateRequest
from retrieval.embedding import Embedder
from retrieval.encoders import DEFAULT_ENCODER
from services.llm.engine import Delta, End, EndReason, LlmEngineInfo
from services.llm.engines.retrieval import RetrievalEngine
from services.llm.engines.retrieval.matching.vectors import KeptVectors
from services.llm.generation import Generation
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Message, Prompt, Role
from services.llm.settings import NO_MODEL, LlmSettings
from services.runtime.errors import InternalError
from services.runtime.models.store import ModelStore
from tests.requirements import need
from tests.unit.llm.talk import prompt_for


@pytest.fixture
async def engine(anima: Persona) -> AsyncIterator[RetrievalEngine]:
    settings = LlmSettings.from_environment(embedding_model=NO_MODEL, word_interval_ms=0)
    engine = RetrievalEngine(settings)
    await engine.open()
    await engine.prepare([anima])
    yield engine
    await engine.close()


async def test_words_come_at_the_pace_asked_for(engine: RetrievalEngine, anima: Persona) -> None:
    loop = asyncio.get_running_loop()
    prompt = prompt_for(anima, "Who are you?", word_interval_ms=20)
    start = loop.time()
    events = [event async for event in engine.answer(prompt)]
    words = [event for event in events if isinstance(event, Delta)]
    assert loop.time() - start >= 0.02 * (len(words) - 1)
    assert "".join(word.text for word in words).startswith("I am Anima, a digital human.")
    assert isinstance(events[-1], End)


async def test_a_long_answer_ends_with_a_sentence(engine: RetrievalEngine, anima: Persona) -> None:
    prompt = prompt_for(anima, "Who are you?", max_words=10)
    events = [event async for event in engine.answer(prompt)]
    text = "".join(event.text for event in events if isinstance(event, Delta))
    assert text == "I am Anima, a digital human."
    assert isinstance(events[-1], End)
    assert events[-1].reason is EndReason.LENGTH


async def test_without_its_model_the_engine_compares_words(anima: Persona, tmp_path: Path) -> None:
    engine = RetrievalEngine(LlmSettings.from_environment(data_dir=tmp_path))
    await engine.open()
    await engine.prepare([anima])
    events = [event async for event in engine.answer(prompt_for(anima, "What can you do?"))]
    await engine.close()
    assert isinstance(events[-1], End)
    assert [source.name for source in events[-1].sources] == ["what-can-you-do"]


class ScriptedEngine:
    """A scripted model; `ended` is set when its generator has been closed."""

    def __init__(self, *script: Delta | End | Exception, hangs: bool = False) -> None:
        self._script = script
        self._hangs = hangs
        self.ended = asyncio.Event()

    def describe(self) -> LlmEngineInfo:
        return LlmEngineInfo(name="scripted", version="1", licence="MIT", languages=())

    async def open(self) -> None:
        """Needs nothing."""

    async def prepare(self, personas: Sequence[Persona]) -> None:
        """Needs nothing."""

    async def close(self) -> None:
        """Holds nothing."""

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Delta | End, None]:
        try:
            for step in self._script:
                if isinstance(step, Exception):
                    raise step
                yield step
            if self._hangs:
                await asyncio.Event().wait()
        finally:
            self.ended.set()


async def silence() -> AsyncIterator[GenerateRequest]:
    nothing: list[GenerateRequest] = []
    for request in nothing:
        yield request


async def interrupt_at(moment: asyncio.Event, epoch: int) -> AsyncIterator[GenerateRequest]:
    await moment.wait()
    yield GenerateRequest(interrupt=Interrupt(epoch=epoch))


async def test_all_that_was_written_is_read_before_an_error(anima: Persona) -> None:
    engine = ScriptedEngine(Delta("a"), Delta("b"), RuntimeError("the model fell over"))
    async with Generation(engine.answer(prompt_for(anima, "?")), silence(), 0) as generation:
        assert await generation.next_event() == Delta("a")
        assert await generation.next_event() == Delta("b")
        with pytest.raises(RuntimeError, match="fell over"):
            await generation.next_event()


async def test_an_engine_without_an_end_is_an_error(anima: Persona) -> None:
    engine = ScriptedEngine(Delta("a"))
    async with Generation(engine.answer(prompt_for(anima, "?")), silence(), 0) as generation:
        await generation.next_event()
        with pytest.raises(InternalError):
            await generation.next_event()


async def test_an_interrupt_ends_an_engine_that_hangs(anima: Persona) -> None:
    engine = ScriptedEngine(Delta("a"), hangs=True)
    moment = asyncio.Event()
    requests = interrupt_at(moment, epoch=3)
    async with Generation(engine.answer(prompt_for(anima, "?")), requests, 2) as generation:
        assert await generation.next_event() == Delta("a")
        moment.set()
        event = await generation.next_event()
        assert isinstance(event, Interrupt)
        assert event.epoch == 3
        await generation.stop()
        assert engine.ended.is_set()


async def test_a_cancelled_answer_ends_the_engine(anima: Persona) -> None:
    engine = ScriptedEngine(Delta("a"), hangs=True)
    reading = asyncio.Event()

    async def read() -> None:
        async with Generation(engine.answer(prompt_for(anima, "?")), silence(), 0) as generation:
            await generation.next_event()
            reading.set()
            await generation.next_event()

    task = asyncio.create_task(read())
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.ended.is_set()


def test_a_prompt_keeps_the_persona_s_limits(anima: Persona) -> None:
    history = [Message(role=Role.USER, text=f"message {number}") for number in range(100)]
    prompt = prompt_for(anima, "What is my name?", history=history, max_words=500)
    limits = anima.profile.limits
    assert prompt.max_words == limits.max_words
    assert len(prompt.history) == limits.history_messages
    assert prompt.history[-1].text == "message 99"


class CountingEmbedder(Embedder):
    """The real encoder; counts its calls."""

    embedded = 0

    def embed(self, texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        self.embedded += len(texts)
        return super().embed(texts)


@pytest.fixture
def embedder() -> CountingEmbedder:
    need("encoder")
    folder = ModelStore(LlmSettings.from_environment().data_dir / "models").path(DEFAULT_ENCODER)
    return CountingEmbedder(folder)


def test_vectors_are_kept_for_the_next_start(embedder: CountingEmbedder, tmp_path: Path) -> None:
    file = tmp_path / "llm" / "vectors.npz"
    first = KeptVectors(embedder, file)
    vectors = first.embed(["one", "two", "one"])
    first.keep()
    assert embedder.embedded == 3
    second = KeptVectors(embedder, file)
    assert np.array_equal(second.embed(["two", "one"]), vectors[[1, 0]])
    assert embedder.embedded == 3
    second.embed(["three"])
    second.keep()
    assert embedder.embedded == 4
    assert [path.name for path in file.parent.iterdir()] == ["vectors.npz"]


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 broken"])
def test_damaged_vectors_are_computed_anew(
    embedder: CountingEmbedder, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "vectors.npz"
    file.write_bytes(content)
    kept = KeptVectors(embedder, file)
    assert kept.embed(["one"]).shape == (1, 384)
    kept.keep()
    before = embedder.embedded
    KeptVectors(embedder, file).embed(["one"])
    assert embedder.embedded == before
