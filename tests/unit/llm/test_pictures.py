"""Pictures of a question: seen, or answered with the words that they cannot be seen."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from anima.llm.v1 import ROLE_USER, GenerateConfig, Message, Picture
from services.llm.engine import Delta, End, EndReason, Item, LlmEngineInfo
from services.llm.persona.catalogue import PersonaCatalogue
from services.llm.persona.persona import Persona
from services.llm.prompt.chat import build_chat, estimate_tokens, message_fields
from services.llm.prompt.prompt import Prompt
from services.llm.prompt.unseen import answer_of
from services.llm.requests import MAX_PICTURE_BYTES, MAX_PICTURES, read_prompt
from services.runtime.errors import InvalidRequest
from tests.unit.llm.talk import prompt_for

JPEG = b"\xff\xd8\xff\xe0 a picture"


class Echo:
    """Says how many pictures it was given."""

    def __init__(self, *, sees: bool) -> None:
        self._sees = sees

    def describe(self) -> LlmEngineInfo:
        return LlmEngineInfo(name="echo", version="1", licence="MIT", sees_pictures=self._sees)

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Item, None]:
        shown = len(prompt.pictures) + sum(len(one.pictures) for one in prompt.history)
        yield Delta(f"{shown} pictures")
        yield End(reason=EndReason.COMPLETE)


async def said(engine: Any, prompt: Prompt) -> str:
    return "".join(
        [item.text async for item in answer_of(engine, prompt) if isinstance(item, Delta)]
    )


def with_pictures(prompt: Prompt) -> Prompt:
    return dataclasses.replace(prompt, pictures=(JPEG,))


@pytest.mark.parametrize(
    ("question", "answer"),
    [("What is this?", "I cannot see pictures."), ("这是什么？", "我看不到图片。")],
)
async def test_who_cannot_see_says_so_in_the_language_of_the_person(
    anima: Persona, question: str, answer: str
) -> None:
    prompt = with_pictures(prompt_for(anima, question))
    assert (await said(Echo(sees=False), prompt)).startswith(answer)


async def test_who_sees_is_asked(anima: Persona) -> None:
    prompt = prompt_for(anima, "What is this?")
    assert await said(Echo(sees=True), with_pictures(prompt)) == "1 pictures"
    assert await said(Echo(sees=True), prompt) == "0 pictures"


async def test_earlier_pictures_do_not_keep_the_blind_from_answering(anima: Persona) -> None:
    config = GenerateConfig(turn_id="t", question="Thanks.", language="en")
    config.history.append(Message(role=ROLE_USER, text="And this?", pictures=[Picture(jpeg=JPEG)]))
    prompt = read_prompt(config, PersonaCatalogue([anima]))
    assert prompt.history[0].pictures == (JPEG,)
    assert await said(Echo(sees=False), prompt) == "0 pictures"
    assert await said(Echo(sees=True), prompt) == "1 pictures"


def test_a_message_has_its_pictures_before_its_text(anima: Persona) -> None:
    chat = build_chat(with_pictures(prompt_for(anima, "What is this?")), max_tokens=4_000)
    content = message_fields(chat.messages[-1], parsed=False)["content"]
    url = f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"
    assert content == [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": "What is this?"},
    ]


def test_pictures_take_their_share_of_the_context(anima: Persona) -> None:
    plain = prompt_for(anima, "What is this?", language="en")
    fixed = sum(
        estimate_tokens(one.text) + 8 for one in build_chat(plain, max_tokens=9_000).messages
    )
    words = "word " * 5_000
    for pictures in (0, 2):
        long = dataclasses.replace(plain, question=words, pictures=(JPEG,) * pictures)
        asked = build_chat(long, max_tokens=4_000).messages[-1].text
        assert estimate_tokens(asked) <= 4_000 - fixed - 1_000 * pictures + 20


@pytest.mark.parametrize(
    ("pictures", "text"),
    [
        ([b"\x89PNG"], r"config\.pictures\[0\]\.jpeg: is not a JPEG"),
        ([JPEG] * (MAX_PICTURES + 1), r"config\.pictures: must be at most 4"),
        ([JPEG + bytes(MAX_PICTURE_BYTES)], r"must be at most 1000000 bytes"),
    ],
)
def test_bad_pictures_are_refused(anima: Persona, pictures: list[bytes], text: str) -> None:
    config = GenerateConfig(turn_id="t", question="?")
    config.pictures.extend(Picture(jpeg=one) for one in pictures)
    with pytest.raises(InvalidRequest, match=text):
        read_prompt(config, PersonaCatalogue([anima]))
