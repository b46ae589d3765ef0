"""The knowledge that an engine must show; part of the conformance suite of the model.

    pytest tests/contract/test_llm_knowledge.py --llm-address HOST:PORT [--token T]

It asks questions that every persona with the suite's languages can answer: about itself, and about
the conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anima.common.v1 import END_REASON_LENGTH
from anima.llm.v1 import ROLE_ASSISTANT, ROLE_USER, SOURCE_KIND_MEMORY, Memory, Message
from tests.contract.test_llm import ask, config, llm

if TYPE_CHECKING:
    from anima.llm.v1.llm_pb2_grpc import LlmServiceAsyncStub

__all__ = ["llm"]


def chinese_characters(text: str) -> int:
    return sum("\u4e00" <= one <= "\u9fff" for one in text)


async def test_a_chinese_question_gets_a_chinese_answer(llm: LlmServiceAsyncStub) -> None:
    answer = await ask(llm, config("你是谁？"))
    assert answer.language.startswith("zh")
    assert chinese_characters(answer.text) > 5
    assert "\ufffd" not in answer.text
    assert all(len(delta.strip()) <= 20 for delta in answer.deltas)


async def test_the_language_of_the_answer_can_be_chosen(llm: LlmServiceAsyncStub) -> None:
    chinese = await ask(llm, config("Who are you?", language="zh"))
    assert chinese_characters(chinese.text) > 5
    english = await ask(llm, config("你是谁？", language="en-GB"))
    assert chinese_characters(english.text) == 0
    assert english.language == "en"


async def test_an_answer_keeps_the_limit_of_words(llm: LlmServiceAsyncStub) -> None:
    whole = await ask(llm, config("What can you do?"))
    assert len(whole.text.split()) > 12
    short = await ask(llm, config("What can you do?", max_words=12))
    assert 1 <= len(short.text.split()) <= 12
    assert short.reason == END_REASON_LENGTH
    chinese = await ask(llm, config("你能做什么？", max_words=10))
    assert chinese_characters(chinese.text) <= 10
    assert chinese.reason == END_REASON_LENGTH


async def test_what_is_not_known_is_said_honestly(llm: LlmServiceAsyncStub) -> None:
    """No source may be named for an answer without a finding."""
    answer = await ask(llm, config("What did Napoleon eat on the third of May 1803?"))
    assert answer.text
    assert answer.sources == []


async def test_memories_are_used(llm: LlmServiceAsyncStub) -> None:
    answer = await ask(
        llm,
        config(
            "What is my dog called?",
            memories=[
                Memory(text="My dog is called Rex.", score=0.8, role=ROLE_USER),
                Memory(text="I drink green tea.", score=0.1, role=ROLE_USER),
            ],
        ),
    )
    assert "Rex" in answer.text
    assert "tea" not in answer.text
    assert SOURCE_KIND_MEMORY in [source.kind for source in answer.sources]
    without = await ask(llm, config("What is my dog called?"))
    assert "Rex" not in without.text


async def test_history_is_used(llm: LlmServiceAsyncStub) -> None:
    answer = await ask(
        llm,
        config(
            "What did I just ask?",
            history=[
                Message(role=ROLE_USER, text="How does the zebra crossing work?"),
                Message(role=ROLE_ASSISTANT, text="I do not know that."),
            ],
        ),
    )
    assert "zebra" in answer.text
