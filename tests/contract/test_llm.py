"""The conformance suite of the language model: any implementation of anima.llm.v1 passes it.

    pytest tests/contract/test_llm.py --llm-address HOST:PORT [--token T]

The content of an answer is up to the engine, which may have random weights; its order, its prompt
stop and its relation to the question are tested here. The required knowledge is tested in
test_llm_knowledge.py, interrupts in test_llm_interrupt.py.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest

from anima.common.v1 import END_REASON_COMPLETE, END_REASON_LENGTH, Interrupt
from anima.llm.v1 import (
    ROLE_ASSISTANT,
    ROLE_USER,
    DescribeEngineRequest,
    GenerateConfig,
    GenerateRequest,
    GenerateResponse,
    ListPersonasRequest,
    LlmServiceStub,
    Memory,
    Message,
    Source,
    Tool,
    ToolCall,
    ToolResult,
)

if TYPE_CHECKING:
    from anima.llm.v1.llm_pb2_grpc import LlmServiceAsyncStub

SLOW_MS = 200
ENDED = (END_REASON_COMPLETE, END_REASON_LENGTH)


@pytest.fixture
def llm(llm_channel: grpc.aio.Channel) -> LlmServiceAsyncStub:
    return stub(llm_channel)


def stub(channel: grpc.aio.Channel) -> LlmServiceAsyncStub:
    return cast("LlmServiceAsyncStub", LlmServiceStub(channel))


def config(question: str = "Who are you?", **fields: Any) -> GenerateConfig:
    values: dict[str, Any] = {"turn_id": "turn-1", "word_interval_ms": 0, **fields}
    return GenerateConfig(question=question, **values)


@dataclass
class Answer:
    """The output of a stream, checked while it was read."""

    text: str = ""
    language: str = ""
    reason: int = 0
    sources: list[Source] = field(default_factory=list)
    deltas: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)

    def add(self, response: GenerateResponse, sent: GenerateConfig) -> None:
        event = response.WhichOneof("event")
        assert event is not None
        self.events.append(event)
        assert response.header.turn_id == sent.turn_id
        assert response.header.sequence == len(self.events)
        if event == "started":
            self.language = response.started.language
        elif event == "delta":
            assert response.header.epoch == sent.epoch
            assert response.delta.text
            assert response.delta.start_char == len(self.text)
            self.text += response.delta.text
            self.deltas.append(response.delta.text)
        elif event == "tool_call":
            assert response.tool_call.name in {tool.name for tool in sent.tools}
            assert isinstance(json.loads(response.tool_call.arguments_json), dict)
            assert response.tool_call.id not in {call.id for call in self.calls}
            self.calls.append(response.tool_call)
        elif event == "finished":
            self.reason = response.finished.reason
            self.sources = list(response.finished.sources)


async def read(
    llm: LlmServiceAsyncStub, requests: Iterable[GenerateRequest]
) -> list[GenerateResponse]:
    return [response async for response in llm.Generate(iter(requests))]


async def ask(llm: LlmServiceAsyncStub, sent: GenerateConfig) -> Answer:
    answer = Answer()
    for response in await read(llm, [GenerateRequest(config=sent)]):
        answer.add(response, sent)
    assert answer.events[0] == "started"
    assert answer.events[-1] == "finished", "the stream ended without its end"
    assert set(answer.events[1:-1]) <= {"delta", "tool_call"}
    assert answer.deltas or answer.calls
    return answer


async def refused(llm: LlmServiceAsyncStub, *requests: GenerateRequest) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read(llm, requests)
    return caught.value


async def test_an_answer_comes_in_order(llm: LlmServiceAsyncStub) -> None:
    answer = await ask(llm, config(epoch=3))
    assert answer.reason in ENDED
    assert answer.language == "en"
    assert len(answer.deltas) > 3
    assert len(answer.text.split()) > 3


async def test_an_answer_is_not_one_lump(llm: LlmServiceAsyncStub) -> None:
    """Text arrives before the answer is complete, so that speech can start."""
    sent = config(word_interval_ms=SLOW_MS)
    call = llm.Generate(iter([GenerateRequest(config=sent)]))
    answer = Answer()
    async for response in call:
        answer.add(response, sent)
        if len(answer.deltas) == 2:
            break
    call.cancel()
    assert "finished" not in answer.events


async def test_the_limit_of_words_is_kept(llm: LlmServiceAsyncStub) -> None:
    short = await ask(llm, config("What can you do?", max_words=4))
    assert 1 <= len(short.text.split()) <= 4
    assert short.reason in ENDED


async def test_the_language_is_told(llm: LlmServiceAsyncStub) -> None:
    assert (await ask(llm, config("你是谁？"))).language.startswith("zh")
    assert (await ask(llm, config("Who are you?", language="zh"))).language.startswith("zh")
    assert (await ask(llm, config("你是谁？", language="en-GB"))).language == "en"


async def test_history_and_memories_are_taken(llm: LlmServiceAsyncStub) -> None:
    """As much of both as a call may contain: more than most models can read."""
    history: list[Message] = []
    for number in range(100):
        history.append(Message(role=ROLE_USER, text=f"{number} " + "so " * 100))
        history.append(Message(role=ROLE_ASSISTANT, text="yes " * 100))
    memories = [Memory(text="I like tea. " * 50, score=0.5, role=ROLE_USER)] * 50
    answer = await ask(llm, config(history=history, memories=memories))
    assert answer.text


async def test_sources_are_scored(llm: LlmServiceAsyncStub) -> None:
    answer = await ask(llm, config("Who are you?"))
    assert all(source.name and 0 <= source.score <= 1 for source in answer.sources)


async def test_cancelled_streams_leave_the_service_well(llm: LlmServiceAsyncStub) -> None:
    description = await llm.DescribeEngine(DescribeEngineRequest())
    for _ in range(2 * min(description.engine.capacity, 20)):
        call = llm.Generate(iter([GenerateRequest(config=config(word_interval_ms=SLOW_MS))]))
        async for response in call:
            if response.WhichOneof("event") == "delta":
                break
        call.cancel()
    answer = await ask(llm, config())
    assert answer.reason in ENDED


async def test_concurrent_answers_equal_single_ones(llm: LlmServiceAsyncStub) -> None:
    questions = ["Who are you?", "你是谁？", "What can you do?", "How are you?"]
    single = [await ask(llm, config(question)) for question in questions]
    together = await asyncio.gather(
        *(
            ask(llm, config(question, turn_id=f"turn-{number}", word_interval_ms=number))
            for number, question in enumerate(questions)
        )
    )
    assert [answer.text for answer in together] == [answer.text for answer in single]
    assert len({answer.text for answer in together}) > 1


async def test_personas_are_listed(llm: LlmServiceAsyncStub) -> None:
    listed = (await llm.ListPersonas(ListPersonasRequest())).personas
    assert listed
    for persona in listed:
        assert persona.name
        assert persona.display_name
        assert persona.languages
        assert persona.avatar
        assert {voice.language for voice in persona.voices} == set(persona.languages)
        assert all(voice.voices for voice in persona.voices)
        assert {greeting.language for greeting in persona.greetings} == set(persona.languages)
        answer = await ask(llm, config(persona=persona.name))
        assert answer.text


async def test_the_engine_describes_itself(llm: LlmServiceAsyncStub) -> None:
    engine = (await llm.DescribeEngine(DescribeEngineRequest())).engine
    assert engine.name
    assert engine.version
    assert engine.licence
    assert engine.capacity >= 1


CLOCK = Tool(
    name="clock",
    description="Tells the time of a place.",
    parameters_json_schema='{"type": "object", "properties": {"place": {"type": "string"}}}',
)
CALLED = ToolResult(
    call=ToolCall(id="call_1", name="clock", arguments_json='{"place": "Paris"}'), text="12:30"
)


async def test_tools_may_be_offered(llm: LlmServiceAsyncStub) -> None:
    """An engine may answer without calling a tool; a call is complete and names an offered tool."""
    able = (await llm.DescribeEngine(DescribeEngineRequest())).calls_tools
    answer = await ask(llm, config("What time is it in Paris?", tools=[CLOCK]))
    assert able or not answer.calls


async def test_the_answer_goes_on_with_what_came_of_a_call(llm: LlmServiceAsyncStub) -> None:
    sent = config("What time is it in Paris?", tools=[CLOCK], tool_results=[CALLED])
    answer = await ask(llm, sent)
    assert answer.reason in ENDED


WRONG_CONFIGS = {
    "question": [
        config(""),
        config("  \n "),
        config("a" * 8_001),
        config("nul \x00"),
    ],
    "user_id": [config(user_id="x" * 257)],
    "turn_id": [config(turn_id=""), config(turn_id="a b"), config(turn_id="x" * 65)],
    "history": [
        config(history=[Message(role=ROLE_USER, text="Hello.")] * 201),
        config(history=[Message(text="Who says this?")]),
    ],
    "memories": [
        config(memories=[Memory(text="I like tea.", score=0.5, role=ROLE_USER)] * 51),
        config(memories=[Memory(text="", score=0.5)]),
        config(memories=[Memory(text="I like tea.", score=float("nan"))]),
        config(memories=[Memory(text="I like tea.", score=-0.5)]),
    ],
    "tools": [
        config(tools=[Tool(name="")]),
        config(tools=[Tool(name="no name")]),
        config(tools=[CLOCK, CLOCK]),
        config(tools=[Tool(name="clock", description="x" * 4_001)]),
        config(tools=[Tool(name="clock", parameters_json_schema="{")]),
        config(tools=[Tool(name="clock", parameters_json_schema="[]")]),
        config(tools=[Tool(name=f"tool{number}") for number in range(65)]),
    ],
    "tool_results": [
        config(tool_results=[CALLED]),
        config(tools=[CLOCK], tool_results=[CALLED] * 33),
        config(tools=[CLOCK], tool_results=[ToolResult(call=ToolCall(id="1", name="clock"))]),
        config(
            tools=[CLOCK],
            tool_results=[ToolResult(call=ToolCall(name="clock", arguments_json="{}"))],
        ),
    ],
    "language": [config(language="no tag!"), config(language="tlh")],
    "word_interval_ms": [config(word_interval_ms=3_600_000)],
}


@pytest.mark.parametrize(
    ("name", "number"),
    [(name, number) for name, configs in WRONG_CONFIGS.items() for number in range(len(configs))],
)
async def test_a_wrong_field_is_named(llm: LlmServiceAsyncStub, name: str, number: int) -> None:
    error = await refused(llm, GenerateRequest(config=WRONG_CONFIGS[name][number]))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert f"config.{name}" in str(error.details())


async def test_the_longest_question_is_taken(llm: LlmServiceAsyncStub) -> None:
    answer = await ask(llm, config("why " * 2_000))
    assert answer.text


async def test_an_unknown_persona_is_not_found(llm: LlmServiceAsyncStub) -> None:
    error = await refused(llm, GenerateRequest(config=config(persona="nobody-of-this-name")))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert "nobody-of-this-name" in str(error.details())


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [GenerateRequest()],
        [GenerateRequest(interrupt=Interrupt(epoch=1))],
        [
            GenerateRequest(config=config(word_interval_ms=SLOW_MS)),
            GenerateRequest(config=config(word_interval_ms=SLOW_MS)),
        ],
        [GenerateRequest(config=config(word_interval_ms=SLOW_MS)), GenerateRequest()],
    ],
    ids=["nothing", "no arm", "no config", "config twice", "no arm later"],
)
async def test_a_wrong_order_is_refused(
    llm: LlmServiceAsyncStub, requests: list[GenerateRequest]
) -> None:
    error = await refused(llm, *requests)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.details()
    answer = await ask(llm, config())
    assert answer.reason in ENDED


async def test_a_message_that_is_not_one_is_refused(llm_channel: grpc.aio.Channel) -> None:
    raw: Any = llm_channel.stream_stream("/anima.llm.v1.LlmService/Generate")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [response async for response in raw([b"\xff\xff\xff not a message"])]
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await ask(stub(llm_channel), config())
