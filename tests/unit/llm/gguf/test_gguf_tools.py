"""Tools: calls are written under the grammar of their arguments."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from services.llm.persona.persona import Persona
from services.llm.prompt.tools import Tool, ToolCall, ToolResult
from testing.models.tiny_gguf import make_tiny_gguf
from tests.unit.llm.gguf.conftest import opened, read
from tests.unit.llm.talk import prompt_for

WEATHER = Tool(
    name="weather",
    description="The weather of a city",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Oslo"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
BEGIN = ("<tool_call>", '\n{"name": "weather", "arguments": {"city": "')


async def test_a_call_is_passed_on_whole(tmp_path: Path, anima: Persona) -> None:
    said = [
        "<tool_call>",
        '\n{"name": "weather", "arguments": {"city": "',
        'Oslo"',
        "}}\n</tool_call>",
    ]
    make_tiny_gguf(tmp_path / "calls.gguf", says=said)
    async with opened(tmp_path / "calls.gguf", max_tokens="64") as engine:
        prompt = replace(prompt_for(anima, "How is the weather?"), tools=(WEATHER,))
        text, (call,), _ = await read(engine, prompt)
    assert not text
    assert call.name == "weather"
    assert json.loads(call.arguments_json) == {"city": "Oslo"}


async def test_arguments_that_the_tool_does_not_take_cannot_be_written(
    tmp_path: Path, anima: Persona
) -> None:
    """The model wants another city; the grammar has only two."""
    end = "}}\n</tool_call>"
    make_tiny_gguf(
        tmp_path / "wrong.gguf", says=[*BEGIN, 'Atlantis"', end], otherwise=['Oslo"', end]
    )
    async with opened(tmp_path / "wrong.gguf", max_tokens="64") as engine:
        prompt = replace(prompt_for(anima, "How is the weather?"), tools=(WEATHER,))
        _, (call,), _ = await read(engine, prompt)
    assert json.loads(call.arguments_json) == {"city": "Oslo"}


async def test_the_answer_goes_on_from_the_result(tmp_path: Path, anima: Persona) -> None:
    make_tiny_gguf(tmp_path / "says.gguf", says=["It", " rains."])
    async with opened(tmp_path / "says.gguf") as engine:
        call = ToolCall(id="c1", name="weather", arguments_json='{"city": "Oslo"}')
        prompt = replace(
            prompt_for(anima, "How is the weather?"),
            tools=(WEATHER,),
            tool_results=(ToolResult(call=call, text="rain"),),
        )
        text, calls, _ = await read(engine, prompt)
    assert (text, calls) == ("It rains.", [])


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_model_says_what_it_is_made_to_say(
    tmp_path: Path, anima: Persona, language: str
) -> None:
    """Text that is split within a character arrives whole."""
    said = {"en": ["Good", " day", "."], "zh": ["你", "好", "。"]}[language]
    make_tiny_gguf(tmp_path / "says.gguf", says=said)
    async with opened(tmp_path / "says.gguf") as engine:
        text, _, _ = await read(engine, prompt_for(anima, "?", language=language))
    assert text == "".join(said)
