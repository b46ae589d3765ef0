from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm.persona.persona import Persona, load_persona
from services.llm.speech.reasoning import ReasoningFilter, ReasoningHabit
from services.llm.speech.words import count_words
from services.llm.speech.writing import Writing
from tests.unit.llm.conftest import PERSONAS
from tests.unit.llm.talk import prompt_for

NOTHING = "I have nothing to add to that."

# not a fixture: hypothesis prints the arguments of a test that fails
ANIMA = load_persona(PERSONAS / "anima")


def written(writing: Writing, *parts: str) -> str:
    return "".join(writing.feed(part) for part in parts) + writing.finish()


def test_reasoning_is_not_said(anima: Persona) -> None:
    prompt = prompt_for(anima, "Why?")
    assert written(Writing(prompt), "<thi", "nk>Hm", "m.</th", "ink>\n\nBecause", ".") == "Because."
    assert written(Writing(prompt), "<think>never ends") == NOTHING
    assert written(Writing(prompt), "5 < 6 and a <thing>") == "5 < 6 and a <thing>"
    template_opened_it = Writing(prompt, habit=ReasoningHabit(opens=True))
    assert written(template_opened_it, "Hmm", ".</think>Yes.") == "Yes."
    assert written(Writing(prompt, habit=ReasoningHabit(opens=True)), "never ends") == NOTHING


def test_an_end_of_reasoning_without_a_beginning_drops_what_was_not_said(anima: Persona) -> None:
    prompt = prompt_for(anima, "Why?")
    writing = Writing(prompt)
    assert written(writing, "The user wants X. </think>Hello there.") == "Hello there."
    assert writing.ended_unopened
    late = Writing(prompt)
    assert written(late, "I think. ", "</think>", "Hello.") == "I think. Hello."
    assert late.ended_unopened


def test_a_model_that_ends_its_reasoning_is_read_so_from_then_on(anima: Persona) -> None:
    prompt = prompt_for(anima, "Why?")
    habit = ReasoningHabit()
    assert habit.learn()
    assert not habit.learn()
    assert written(Writing(prompt, habit=habit), "Hm", "m. </th", "ink>Yes.") == "Yes."
    without = Writing(prompt, habit=habit)
    assert without.feed("No reasoning, ") == ""
    assert without.is_unclosed
    assert without.finish() == "No reasoning,"
    habit.forget()
    assert Writing(prompt, habit=habit).feed("No reasoning, ") == "No reasoning,"
    set_by_a_person = ReasoningHabit(opens=True)
    set_by_a_person.learn()
    set_by_a_person.forget()
    assert set_by_a_person.opens


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("Hello<|im_end|>", "Hello"),
        ("<|assistant|>Hello", "Hello"),
        ("<|im_start|>assistant\nHello<|im_end|>", "Hello"),
        ("<|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>", "Hello"),
        ("<start_of_turn>model\nHello<end_of_turn>", "Hello"),
        ("<｜Assistant｜>你好<｜end▁of▁sentence｜>", "你好"),
        ("[INST] x [/INST] Hello</s>", "Hello"),
        ('Sure. <tool_call>{"name": "f"}</tool_call> Done.', "Sure. Done."),
        ("<function_call>f(1)</function_call>Done.", "Done."),
        ("Assistant: Hello there.", "Hello there."),
        ("Anima: Hello there.", "Hello there."),
        ("**Anima:** Hello there.", "Hello there."),
        ("Anima：你好。", "你好。"),
        ("Anima is my name.", "Anima is my name."),
        ("Answer: 42", "Answer: 42"),
        ("a <|b| c, x<y|, [TODO] and </sup>", "a <|b| c, x<y|, [TODO] and"),
        ("<think>hm</think>", NOTHING),
        ("👍", f"👍 {NOTHING}"),
        ("", ""),
        (" \n", ""),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_what_belongs_to_the_template_is_not_said(
    anima: Persona, output: str, said: str, size: int
) -> None:
    parts = [output[at : at + size] for at in range(0, len(output), size)]
    assert written(Writing(prompt_for(anima, "Why?")), *parts) == said


@settings(deadline=None)
@given(
    text=st.lists(
        st.sampled_from(["<think>", "<th", "<tool_call>", "</tool_call>", "<", ">", "a", " "])
    ).map("".join),
    size=st.integers(1, 5),
)
def test_reasoning_is_found_however_it_is_cut(text: str, size: int) -> None:
    cut = ReasoningFilter()
    parts = [cut.feed(text[at : at + size]) for at in range(0, len(text), size)]
    whole = ReasoningFilter()
    assert "".join(parts) + cut.finish() == whole.feed(text) + whole.finish()


@settings(deadline=None)
@given(
    words=st.lists(
        st.sampled_from(["one", "two-three", "“four”", "你好", "，", "- ", "5 km", "\n"])
    ),
    limit=st.integers(1, 8),
    size=st.integers(1, 7),
)
def test_the_limit_of_words_is_kept_however_it_is_cut(
    words: list[str], limit: int, size: int
) -> None:
    text = " ".join(words)
    prompt = prompt_for(ANIMA, "Why?", max_words=limit)
    whole = Writing(prompt)
    said = written(whole, text)
    assert count_words(said) <= limit
    cut = Writing(prompt)
    assert written(cut, *(text[at : at + size] for at in range(0, len(text), size))) == said
    assert cut.full == whole.full


def test_a_full_answer_says_so(anima: Persona) -> None:
    writing = Writing(prompt_for(anima, "Why?", max_words=2))
    assert writing.feed("One tw") == "One tw"
    assert writing.feed("o three") == "o "
    assert writing.full
    assert writing.feed(" four") == ""
    exact = Writing(prompt_for(anima, "Why?", max_words=2))
    assert written(exact, "One two.") == "One two."
    assert not exact.full
