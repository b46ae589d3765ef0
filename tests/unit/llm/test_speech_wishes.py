"""Wishes about voice and speed: the call of the tool, and what is said about its result."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from services.llm.engines.retrieval.answerer import Answerer
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Message, Prompt, Role
from services.llm.prompt.tools import Tool, ToolCall, ToolResult
from tests.unit.llm.talk import prompt_for

TOOL = Tool(name="change_speech", description="Changes how you speak.", parameters={})

WISHES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "slower": (
        {"speed": "slower"},
        (
            "Speak slower.", "Please speak slower.", "Can you speak a bit slower, please?",
            "could you please talk more slowly", "Slow down!", "slower", "A little slower please.",
            "Not so fast.", "You speak too fast.", "You are talking too quickly.", "too fast",
            "Anima, speak slowly please.", "Say it slower.", "Reduce your speed.",
            "说慢一点", "请说慢一点。", "你能说慢点吗？", "慢点说", "慢一点", "说话慢一些",
            "语速慢一点", "请慢慢说", "你说得太快了", "太快了", "放慢语速",
            "能不能把语速放慢一点", "别说那么快",
        ),
    ),
    "faster": (
        {"speed": "faster"},
        (
            "Speak faster.", "Can you talk faster?", "faster please", "Speed up.", "a bit faster",
            "You speak too slowly.", "That was too slow.", "Go faster, please.", "not so slow",
            "说快一点", "快点说", "请快一点", "语速加快", "你说得太慢了", "太慢了", "讲快些",
        ),
    ),
    "usual": (
        {"speed": "usual"},
        (
            "Speak normally again.", "Go back to your normal speed.", "usual speed please",
            "Speak at your usual speed.", "恢复正常语速", "用平常的速度说", "正常语速",
        ),
    ),
    "other": (
        {"voice": "other"},
        (
            "Use another voice.", "Change your voice!", "Can you use a different voice?",
            "another voice please", "Do you have another voice?", "I don't like your voice.",
            "Switch to a different voice.", "Try a new voice.",
            "换个声音", "换一个声音吧", "你能换个声音吗？", "请用别的声音说话", "换种嗓音",
            "我不喜欢你的声音", "你有别的声音吗？",
        ),
    ),
    "female": (
        {"voice": "female"},
        (
            "Use a woman's voice.", "Speak with a female voice.", "Speak like a woman.",
            "换个女声", "用女生的声音说话", "换成女声",
        ),
    ),
    "male": (
        {"voice": "male"},
        (
            "Use a man's voice.", "Can you speak with a male voice?", "Speak like a man.",
            "换个男声", "请用男声说话", "改成男的声音",
        ),
    ),
}  # fmt: skip
CASES = [(text, wanted) for wanted, texts in WISHES.values() for text in texts]

OTHERS = (
    "How fast are you?", "Is my computer fast enough?", "What is your voice made of?",
    "My voice is gone today.", "Why are you slow?", "I drive a fast car.", "Walk slower than me?",
    "你跑得快吗？", "我的电脑很慢", "你的声音是谁的？", "我喜欢你的声音", "快乐是什么？",
    "为什么你的声音像机器人？",
)  # fmt: skip


def prompt(persona: Persona, text: str, result: dict[str, Any] | None = None) -> Prompt:
    made = replace(prompt_for(persona, text), tools=(TOOL,))
    if result is None:
        return made
    call = ToolCall(id="1", name="change_speech", arguments_json="{}")
    return replace(made, tool_results=(ToolResult(call=call, text=json.dumps(result)),))


@pytest.mark.parametrize(("text", "wanted"), CASES, ids=[text for text, _ in CASES])
def test_the_tool_is_called(
    anima: Persona, by_words: Answerer, text: str, wanted: dict[str, str]
) -> None:
    reply = by_words.reply(prompt(anima, text))
    assert reply.call is not None
    assert (reply.text, reply.call.name) == ("", "change_speech")
    assert reply.call.arguments() == wanted


@pytest.mark.parametrize("text", OTHERS)
def test_other_talk_calls_nothing(anima: Persona, by_words: Answerer, text: str) -> None:
    reply = by_words.reply(prompt(anima, text))
    assert reply.call is None
    assert reply.text


@pytest.mark.parametrize(
    ("text", "result", "said"),
    [
        ("Slower!", {"speed": "changed"}, "All right, I speak more slowly now."),
        (
            "Slower!",
            {"speed": "limit", "speed_percent": 60},
            "I cannot speak slower than this, 60 percent of my usual speed.",
        ),
        ("Faster!", {"speed": "changed"}, "All right, I speak faster now."),
        (
            "Faster!",
            {"speed": "limit", "speed_percent": 160},
            "I cannot speak faster than this, 160 percent of my usual speed.",
        ),
        ("Usual speed.", {"speed": "changed"}, "All right, this is my usual speed."),
        ("Usual speed.", {"speed": "same"}, "This is my usual speed already."),
        ("Another voice.", {"voice": "changed"}, "All right. How do you like this voice?"),
        ("Another voice.", {"voice": "none"}, "I have no other voice in this language."),
        ("Speak like a man.", {"voice": "changed"}, "All right. This is a man's voice."),
        (
            "Speak like a woman.",
            {"voice": "none"},
            "I have no other woman's voice in this language.",
        ),
        ("说慢一点", {"speed": "changed"}, "好的，我说慢一点。"),
        (
            "说慢一点",
            {"speed": "limit", "speed_percent": 60},
            "不能再慢了，这已经是我平常语速的百分之60。",
        ),
        ("快一点", {"speed": "changed"}, "好的，我说快一点。"),
        ("正常语速", {"speed": "same"}, "我现在就是平常的语速。"),
        ("换个声音", {"voice": "changed"}, "好的，这个声音怎么样？"),
        ("换个声音", {"voice": "none"}, "用中文说话时，我只有这一个声音。"),
        ("换个女声", {"voice": "changed"}, "好的，现在是女声。"),
        ("换个男声", {"voice": "none"}, "用中文说话时，我没有别的男声。"),
    ],
)
def test_what_came_of_it_is_said(
    anima: Persona, by_words: Answerer, text: str, result: dict[str, Any], said: str
) -> None:
    reply = by_words.reply(prompt(anima, text, result))
    assert (reply.call, reply.text) == (None, said)


def test_the_same_is_not_said_twice(anima: Persona, by_words: Answerer) -> None:
    made = prompt(anima, "Slower!", {"speed": "changed"})
    first = by_words.reply(made).text
    history = (
        Message(role=Role.USER, text="Slower!"),
        Message(role=Role.ASSISTANT, text=first),
    )
    assert by_words.reply(replace(made, history=history)).text != first


def test_in_writing_nothing_is_changed(anima: Persona, by_words: Answerer) -> None:
    ways = {
        "Speak slower.": "I only write here, so I have no speed.",
        "Use another voice.": "I only write here, so I have no voice.",
        "换个男声": "这里我只打字，没有声音。",
        "说快一点": "这里我只打字，没有语速。",
    }
    explained = next(entry for entry in anima.entries if entry.id == "change-voice")
    for text, said in ways.items():
        reply = by_words.reply(prompt_for(anima, text))
        answers = [each for wording in explained.wordings.values() for each in wording.answers]
        assert reply.call is None
        assert reply.text in (said, *answers)
