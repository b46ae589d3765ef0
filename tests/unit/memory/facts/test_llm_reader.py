# ruff: noqa: N802 (method names come from the protos)
"""A language model extracts the facts of a turn: its prompt, its accepted output, its failures."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import anima.llm.v1 as llm
from anima.memory.v1 import ITEM_KIND_FACT
from memory.facts.llm_facts import EXTRACTOR, TOOL, UnreadableError, believed
from memory.facts.llm_reader import LlmReader
from memory.items.item import Item
from memory.language_model import LanguageModel
from memory.settings import MemorySettings
from memory.sqlite.engine import SqliteMemory
from services.runtime.errors import Unavailable
from testing.fakes.stages import FakeLlm
from tests.unit.memory.items import make_item
from tests.unit.memory.llm_stage import llm_stage
from text.facts.candidate import Candidate
from text.facts.extraction import findings

TURN = "We settled in Graz ages ago and Rex, our dog, loves it there"


def told(*facts: tuple[str, str, str]) -> str:
    named = [dict(zip(("subject", "attribute", "value"), fact, strict=True)) for fact in facts]
    return json.dumps({"facts": named})


def shown(found: list[Any]) -> set[str]:
    return {f"{f.subject}.{f.attribute}={f.value}" for f in found if isinstance(f, Candidate)}


class CallingLlm(FakeLlm):
    """Calls the tool that was offered instead of writing."""

    arguments: str = ""

    async def Generate(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        config, _ = await self.opened(requests)
        (tool,) = config.tools
        call = llm.ToolCall(id="1", name=tool.name, arguments_json=self.arguments)
        await context.write(llm.GenerateResponse(tool_call=call))


@pytest.fixture
def model() -> FakeLlm:
    return FakeLlm()


@pytest.fixture
async def address(model: FakeLlm) -> AsyncIterator[str]:
    async with llm_stage(model) as one:
        yield one


def test_only_what_was_said_is_believed() -> None:
    answer = told(
        ("user", "home", "Graz"),
        ("dog", "name", "Rex"),
        ("user", "job", "carpenter"),  # invented
        ("sister", "name", "Rex"),  # nobody spoke of a sister
        ("user", "mood", "Graz"),  # no attribute of ours
        ("user", "likes", "it there"),  # points at something else
        ("user", "likes", ""),
    )
    assert shown(believed(f"Here it is:\n```json\n{answer}\n```", TURN)) == {
        "user.home=Graz",
        "dog.name=Rex",
    }
    facts = '{"facts": [1, {"subject": "user"}, {"subject": 1, "attribute": "home", "value": []}]}'
    assert believed(facts, TURN) == []


@pytest.mark.parametrize("answer", ["", "I see.", "{", '{"facts": 1}', "[]", "{}", "[" * 9_000])
def test_what_is_not_as_asked_is_told_apart_from_no_facts(answer: str) -> None:
    with pytest.raises(UnreadableError):
        believed(answer, TURN)
    assert believed('{"facts": []}', TURN) == []


def test_a_japanese_fact_is_not_written_in_chinese() -> None:
    (fact,) = believed(told(("user", "home", "東京タワーの隣")), "家は東京タワーの隣です")

    assert fact.text == "I live in 東京タワーの隣."


async def test_a_model_that_writes_json_is_read(model: FakeLlm, address: str) -> None:
    model.answer = (told(("user", "home", "Graz"))[:20], told(("user", "home", "Graz"))[20:])
    reader = LlmReader(LanguageModel(address, token=None))
    found = await reader.read(TURN, findings(TURN))
    assert shown(found) == {"user.home=Graz"}
    (config,) = model.configs
    assert TURN in config.question
    assert [tool.name for tool in config.tools] == [TOOL]
    assert json.loads(config.tools[0].parameters_json_schema)["required"] == ["facts"]
    await reader.close()


async def test_a_model_that_calls_the_tool_is_read() -> None:
    model = CallingLlm()
    model.arguments = told(("user", "home", "Graz"), ("dog", "name", "Rex"))
    async with llm_stage(model) as address:
        reader = LlmReader(LanguageModel(address, token=None))
        assert shown(await reader.read(TURN, [])) == {"user.home=Graz", "dog.name=Rex"}
        await reader.close()


async def test_the_model_rids_of_junk_and_rules_keep_feedback(model: FakeLlm, address: str) -> None:
    text = "I live in rented rooms. I no longer like tea."
    rules = findings(text)
    assert shown(rules) == {"user.home=rented rooms"}
    model.answer = (told(),)
    reader = LlmReader(LanguageModel(address, token=None))
    assert await reader.read(text, rules) == [one for one in rules if not shown([one])]
    denial = findings("No, that is wrong.")
    assert await reader.read("No, that is wrong.", denial) == denial
    assert len(model.configs) == 1  # it was not asked about the feedback
    await reader.close()


async def test_while_the_model_fails_the_rules_read(model: FakeLlm, address: str) -> None:
    now_s = [0.0]
    reader = LlmReader(LanguageModel(address, token=None, now_s=lambda: now_s[0]))
    rules = findings("I live in Graz")
    model.refuse = Unavailable("the model is away")
    assert await reader.read("I live in Graz", rules) == rules
    assert await reader.read("I live in Graz", rules) == rules
    assert model.refused == 1  # it is not called for a while
    now_s[0], model.refuse, model.answer = 60.0, None, ("I do not know.",)
    assert await reader.read("I live in Graz", rules) == rules
    now_s[0], model.answer = 120.0, (told(),)
    assert await reader.read("I live in Graz", rules) == []
    await reader.close()


async def test_an_answer_that_breaks_off_is_not_believed(model: FakeLlm, address: str) -> None:
    model.answer = (told(("user", "home", "Graz")), " ")
    model.end_after = 1
    reader = LlmReader(LanguageModel(address, token=None))
    by_rules: list[Any] = findings(TURN)
    assert await reader.read(TURN, by_rules) == by_rules
    await reader.close()


async def test_the_service_keeps_what_the_model_read(
    model: FakeLlm, address: str, tmp_path: Path
) -> None:
    model.answer = (told(("user", "home", "Graz")),)
    settings = MemorySettings(data_dir=tmp_path, embedding_model="none", llm_target=address)
    engine = SqliteMemory(settings)
    await engine.open()
    try:
        # The facts of items as old as those of other tests are forgotten at the start.
        now_unix_ms = time.time_ns() // 1_000_000
        await engine.remember("u", [make_item("a", TURN, created_unix_ms=now_unix_ms)])
        facts: list[Item] = []
        async with asyncio.timeout(90):
            while not facts:
                page = await engine.list_items("u", after=None, page_size=9, kinds=[ITEM_KIND_FACT])
                facts = page.items
        (item,) = facts
        assert item.text == "I live in Graz."
        assert item.fact is not None
        assert (item.fact.extractor, item.fact.source_item_ids) == (EXTRACTOR, ("a",))
    finally:
        await engine.close()
