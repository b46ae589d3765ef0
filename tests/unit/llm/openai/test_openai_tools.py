"""Tools over servers of chat completions, each of which streams calls in its own way."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from services.llm.engine import Delta
from services.llm.engines.openai import OpenAiEngine
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Prompt
from services.llm.prompt.tools import Tool, ToolCall, ToolResult
from services.runtime.errors import Unavailable
from tests.unit.llm.openai.conftest import MakeEngine, read
from tests.unit.llm.openai.model_server import ModelServer, Script, chunk, event
from tests.unit.llm.talk import prompt_for

CLOCK = Tool(
    name="clock", description="Tells the time.", parameters={"type": "object", "properties": {}}
)
DICE = Tool(name="dice", description="Throws dice.", parameters={"type": "object"})


def call_part(**fields: Any) -> bytes:
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return event(chunk(tool_calls=[fields | {"function": function}]))


async def calls_of(made: OpenAiEngine, prompt: Prompt) -> tuple[str, list[ToolCall]]:
    text, calls = "", []
    async for item in made.answer(prompt):
        if isinstance(item, Delta):
            text += item.text
        elif isinstance(item, ToolCall):
            calls.append(item)
    return text, calls


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        (
            [
                call_part(index=0, id="a", name="clock", arguments=""),
                call_part(index=0, arguments='{"place":'),
                call_part(index=1, id="b", name="dice", arguments='{"count'),
                call_part(index=0, arguments=' "Paris"}'),
                call_part(index=1, arguments='": 2}'),
            ],
            [("a", "clock", '{"place": "Paris"}'), ("b", "dice", '{"count": 2}')],
        ),
        (
            [
                call_part(id="a", name="clock", arguments="{}"),
                call_part(id="b", name="clock", arguments='{"place": "Rome"}'),
            ],
            [("a", "clock", "{}"), ("b", "clock", '{"place": "Rome"}')],
        ),
        (
            [call_part(index=0, name="clock", arguments={"place": "Oslo"})],
            [("call_0", "clock", '{"place": "Oslo"}')],
        ),
        (
            [event(chunk(function_call={"name": "dice", "arguments": "{}"}))],
            [("call_0", "dice", "{}")],
        ),
    ],
    ids=["by index", "without index", "arguments as an object", "function_call"],
)
async def test_calls_of_tools_come_whole(
    server: ModelServer,
    engine: MakeEngine,
    anima: Persona,
    pieces: list[bytes],
    calls: list[tuple[str, str, str]],
) -> None:
    before, end = event(chunk("One moment. ")), event(chunk(finish_reason="tool_calls"))
    server.scripts.append(Script(pieces=[before, *pieces, end]))
    prompt = dataclasses.replace(prompt_for(anima, "What time is it?"), tools=(CLOCK, DICE))
    text, found = await calls_of(engine(), prompt)
    assert text.strip() == "One moment."
    assert [(call.id, call.name, call.arguments_json) for call in found] == calls
    assert [tool["function"]["name"] for tool in server.requests[0]["tools"]] == ["clock", "dice"]


async def test_results_of_calls_are_sent_back(
    server: ModelServer, engine: MakeEngine, anima: Persona
) -> None:
    call = ToolCall(id="a", name="clock", arguments_json='{"place": "Paris"}')
    prompt = dataclasses.replace(
        prompt_for(anima, "What time is it?"),
        tools=(CLOCK,),
        tool_results=(ToolResult(call=call, text="12:30"),),
    )
    assert (await read(engine(), prompt))[0] == "Hello there."
    question, called, result = server.requests[0]["messages"][-3:]
    assert question["content"] == "What time is it?"
    assert called["role"] == "assistant"
    (sent,) = called["tool_calls"]
    assert (sent["id"], sent["type"]) == ("a", "function")
    assert sent["function"] == {"name": "clock", "arguments": '{"place": "Paris"}'}
    assert (result["role"], result["tool_call_id"], result["content"]) == ("tool", "a", "12:30")


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (call_part(index=0, id="a", name="rocket", arguments="{}"), "rocket"),
        (call_part(index=0, id="a", name="clock", arguments='{"place": "Pa'), "JSON"),
        (call_part(index=0, id="a", name="clock", arguments="[1]"), "JSON"),
    ],
    ids=["not offered", "cut off", "no object"],
)
async def test_a_broken_call_is_told(
    server: ModelServer, engine: MakeEngine, anima: Persona, part: bytes, text: str
) -> None:
    server.scripts.append(Script(pieces=[part, event(chunk(finish_reason="tool_calls"))]))
    prompt = dataclasses.replace(prompt_for(anima, "What time is it?"), tools=(CLOCK,))
    with pytest.raises(Unavailable, match=text):
        await calls_of(engine(), prompt)
