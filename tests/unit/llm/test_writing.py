from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm.persona.persona import Persona, load_persona
from services.llm.speech.reasoning import ReasoningFilter
from services.llm.speech.words import count_words
from services.llm.speech.writing import Writing
from tests.unit.llm.conftest import PERSONAS
from tests.unit.llm.talk import prompt_for

# not a fixture: hypothesis prints the arguments of a test that fails
ANIMA = load_persona(PERSONAS / "anima")


def written(writing: Writing, *parts: str) -> str:
    return "".join(writing.feed(part) for part in parts) + writing.finish()


def test_reasoning_is_not_said(anima: Persona) -> None:
    prompt = prompt_for(anima, "Why?")
    assert written(Writing(prompt), "<thi", "nk>Hm", "m.</th", "ink>\n\nBecause", ".") == "Because."
    assert written(Writing(prompt), "<think>never ends") == ""
    assert written(Writing(prompt), "5 < 6 and a <thing>") == "5 < 6 and a"
    template_opened_it = Writing(prompt, opens_in_reasoning=True)
    assert written(template_opened_it, "Hmm", ".</think>Yes.") == "Yes."


@settings(deadline=None)
@given(
    text=st.lists(st.sampled_from(["<think>", "</think>", "<th", "<", ">", "a", " "])).map("".join),
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
