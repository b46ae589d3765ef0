"""The engine `gguf` with a tiny random model in the real library."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.llm.engine import Delta, EndReason
from services.llm.engines.gguf.control import URL
from services.llm.engines.gguf.engine import GgufEngine
from services.llm.metrics import CACHED_TOKENS, DROPPED, PROMPT_TOKENS
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Message, Prompt, Role
from services.runtime.errors import Unavailable
from testing.models.tiny_gguf import make_tiny_gguf
from tests.unit.llm.gguf.conftest import counted, opened, read
from tests.unit.llm.talk import prompt_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


def ask(persona: Persona, question: str, *history: Message, user: str = "") -> Prompt:
    return replace(
        prompt_for(persona, question, history=history, language="en", word_interval_ms=None),
        user_id=user,
    )


def user(text: str) -> Message:
    return Message(role=Role.USER, text=text)


def assistant(text: str) -> Message:
    return Message(role=Role.ASSISTANT, text=text)


async def slots_of(engine: GgufEngine) -> list[dict[str, Any]]:
    transport = httpx.AsyncHTTPTransport(uds=str(engine.process.socket))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        found: list[dict[str, Any]] = (await client.get("/slots")).json()
    return found


async def test_the_same_question_gets_the_same_answer(engine: GgufEngine, anima: Persona) -> None:
    first, calls, end = await read(engine, ask(anima, "Who are you?"))
    assert first
    assert not calls
    assert end.reason is EndReason.LENGTH
    assert await read(engine, ask(anima, "Who are you?")) == (first, [], end)


async def test_the_prompt_of_a_conversation_stays_in_its_slot(
    engine: GgufEngine, anima: Persona
) -> None:
    text, _, _ = await read(engine, ask(anima, "Who are you?", user="olga"))
    cached, sent = counted(CACHED_TOKENS), counted(PROMPT_TOKENS)
    history = user("Who are you?"), assistant(text)
    await read(engine, ask(anima, "And what can you do?", *history, user="olga"))
    new = counted(PROMPT_TOKENS) - sent - (counted(CACHED_TOKENS) - cached)
    whole = counted(PROMPT_TOKENS) - sent
    assert whole > 250
    assert new < 120, "only what follows the first question was read"


async def test_the_system_part_is_read_once_for_all_users(
    engine: GgufEngine, anima: Persona
) -> None:
    await read(engine, ask(anima, "I live in Zaragoza.", user="olga"))
    cached, sent = counted(CACHED_TOKENS), counted(PROMPT_TOKENS)
    await read(engine, ask(anima, "I live in Zaragoza.", user="max"))
    hit, whole = counted(CACHED_TOKENS) - cached, counted(PROMPT_TOKENS) - sent
    assert 0 < hit < whole
    cached, sent = counted(CACHED_TOKENS), counted(PROMPT_TOKENS)
    await read(engine, ask(anima, "Completely different words.", user="ida"))
    assert counted(CACHED_TOKENS) - cached == hit, "nothing of what another user said was found"


async def test_a_prefill_leaves_only_the_question_to_read(
    engine: GgufEngine, anima: Persona
) -> None:
    said = [user("We went to the mill."), assistant("That is far.")] * 8
    await engine.prefill(ask(anima, "?", *said, user="prefilled"))
    cached, sent = counted(CACHED_TOKENS), counted(PROMPT_TOKENS)
    await read(engine, ask(anima, "And then?", *said, user="prefilled"))
    new = counted(PROMPT_TOKENS) - sent - (counted(CACHED_TOKENS) - cached)
    assert counted(PROMPT_TOKENS) - sent > 400
    assert new < 40


async def test_an_answer_does_not_wait_for_a_prefill(tiny: Path, anima: Persona) -> None:
    said = [user("We went to the mill."), assistant("That is far.")] * 8
    async with opened(tiny, slots="1") as engine:
        reading = asyncio.create_task(engine.prefill(ask(anima, "?", *said)))
        await asyncio.sleep(0)
        text, _, _ = await read(engine, ask(anima, "Who are you?"))
        assert text
        await reading


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is still writing when a test looks."""
    path = tmp_path_factory.mktemp("gguf") / "slow.gguf"
    make_tiny_gguf(path, layers=60)
    return path


async def test_a_cancel_stops_the_model_at_the_next_token(slow: Path, anima: Persona) -> None:
    async with opened(slow, slots="1", max_tokens="1500") as engine:
        async with aclosing(engine.answer(ask(anima, "Who are you?"))) as answer:
            assert isinstance(await anext(answer), Delta)
            (busy,) = await slots_of(engine)
            assert busy["is_processing"]
        async with asyncio.timeout(60):
            while (slot := (await slots_of(engine))[0])["is_processing"]:  # another process
                pass
        assert slot["n_prompt_tokens"] - busy["n_prompt_tokens"] < 100, "not all 1,500 tokens"
        text, _, _ = await read(engine, replace(ask(anima, "Who are you?"), max_words=3))
        assert text


async def test_questions_wait_for_a_slot(tiny: Path, anima: Persona) -> None:
    async with opened(tiny, slots="2") as engine:
        prompts = [ask(anima, f"Question {number}?", user=f"u{number}") for number in range(5)]
        answers = await asyncio.gather(*(read(engine, prompt) for prompt in prompts))
        assert all(text for text, _, _ in answers)
        assert len(await slots_of(engine)) == 2
        alone = [(await read(engine, prompt))[0] for prompt in prompts]
        assert [text for text, _, _ in answers] == alone


async def test_a_chat_that_is_too_long_is_shortened(tiny: Path, anima: Persona) -> None:
    """The tokens are an estimate, and the model has the last word."""
    rare = "zqxj" * 40  # far more tokens than the estimate expects
    history = [user(rare), assistant(rare)] * 6
    async with opened(tiny, slots="1", context_tokens="1024") as engine:
        dropped = DROPPED.labels("gguf", "history")._value.get()
        text, _, _ = await read(engine, ask(anima, "Who are you?", *history))
        assert text
        assert DROPPED.labels("gguf", "history")._value.get() > dropped


async def test_a_model_with_a_shorter_context_keeps_its_own(tmp_path: Path, anima: Persona) -> None:
    make_tiny_gguf(tmp_path / "short.gguf", context=1_024)
    async with opened(tmp_path / "short.gguf", context_tokens="2048", slots="1") as engine:
        assert engine.context_tokens == 1_024


async def test_a_process_that_dies_is_started_again(slow: Path, anima: Persona) -> None:
    reports: list[str] = []
    back = asyncio.Event()

    async def report(why: str) -> None:
        reports.append(why)
        if not why:
            back.set()

    async with opened(slow, slots="1", max_tokens="1500") as engine:
        watching = asyncio.create_task(engine.watch(report))
        answer = engine.answer(ask(anima, "Who are you?"))
        await anext(answer)
        pid = engine.process.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(Unavailable):
            async for _ in answer:
                pass
        await asyncio.wait_for(back.wait(), 60)
        text, _, _ = await read(engine, replace(ask(anima, "Who are you?"), max_words=3))
        assert text
        assert len(reports) == 2
        assert "started again" in reports[0]
        watching.cancel()
        await asyncio.wait([watching])
    assert not engine.process.folder.exists()


async def test_the_engine_describes_itself(engine: GgufEngine) -> None:
    described = engine.describe()
    assert described.name == "gguf"
    assert described.calls_tools
    assert "tiny" in described.version
