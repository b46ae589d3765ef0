from __future__ import annotations

import pytest

from services.llm.engine import SourceKind
from services.llm.prompt.prompt import Role
from tests.unit.llm.talk import Talk, memory


def names(talk: Talk, question: str) -> list[str]:
    return [source.name for source in talk.ask(question).sources]


def test_small_talk_needs_no_exact_words(talk: Talk) -> None:
    assert "Hello" in talk.ask("hello anima").text
    assert "welcome" in talk.ask("ok thanks a lot anima").text
    assert "Goodbye" in talk.ask("ok bye then").text


def test_the_name_before_or_after_a_question_does_not_matter(talk: Talk) -> None:
    for question in (
        "Anima, what can you do?",
        "hey anima what can you do",
        "What can you do, Anima?",
    ):
        assert names(talk, question) == ["what-can-you-do"]


def test_the_name_is_known_as_the_recogniser_mishears_it(talk: Talk) -> None:
    assert names(talk, "what is enema") == ["what-is-anima"]


def test_small_recognition_errors_are_forgiven(talk: Talk) -> None:
    assert names(talk, "um so how does your memry work") == ["memory"]
    assert names(talk, "can i interrupted you") == ["interrupt"]


def test_more_is_told_until_nothing_is_left(talk: Talk) -> None:
    first = talk.ask("How are you built?").text
    second = talk.ask("Tell me more.").text
    third = talk.ask("go on").text
    assert len({first, second, third}) == 3
    assert "gRPC" in second
    told = [talk.ask("tell me more").text for _ in range(8)]
    assert "That is all I know about it." in told


def test_a_follow_up_takes_the_topic_before_it(talk: Talk) -> None:
    talk.ask("What is the memory service?")
    assert names(talk, "and where is it stored") == ["sqlite-faiss"]
    assert names(talk, "can i export it") == ["export"]


def test_a_follow_up_off_topic_is_still_unknown(talk: Talk) -> None:
    talk.ask("What is the memory service?")
    assert talk.ask("and what about the weather").sources == ()


def test_the_last_question_and_answer_are_known(talk: Talk) -> None:
    assert "not asked" in talk.ask("what did i just ask").text
    talk.history.clear()
    assert "not said" in talk.ask("say that again").text
    talk.history.clear()
    answer = talk.ask("Who are you?").text
    reply = talk.ask("what did i just ask you")
    assert reply.text == "You asked: Who are you?"
    assert reply.sources[0].kind is SourceKind.HISTORY
    talk.history = talk.history[:2]
    assert talk.ask("Can you repeat that?").text == answer


def test_an_answer_that_was_half_heard_is_repeated_whole(talk: Talk) -> None:
    answer = talk.ask("Who are you?").text
    heard = answer[:18]
    talk.history[-1] = type(talk.history[-1])(role=Role.ASSISTANT, text=heard)
    assert talk.ask("say that again").text == answer


def test_the_same_joke_is_not_told_twice(talk: Talk) -> None:
    jokes = [talk.ask("Tell me a joke.").text for _ in range(3)]
    assert len(set(jokes)) == 3


def test_an_offer_can_be_taken(talk: Talk) -> None:
    fallback = talk.ask("how do i bake bread")
    assert fallback.sources == ()
    assert "What can you do?" in fallback.text
    assert names(talk, "yes please") == ["what-can-you-do"]


def test_fallbacks_vary_and_offer_another_question_each_time(talk: Talk) -> None:
    texts = [talk.ask(f"who won the {year} world cup").text for year in (1998, 2002, 2006)]
    assert len(set(texts)) == 3


def test_noise_is_asked_back(talk: Talk) -> None:
    for noise in ("um", "???", "…", "嗯"):
        reply = talk.ask(noise)
        assert reply.sources == ()
        assert "catch" in reply.text or "没听清" in reply.text


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is my dog called?", "your dog is called Rex"),
        ("what did i tell you about my dog", "your dog is called Rex"),
        ("what is my name", "your name is Sam"),
        ("who am i", "your name is Sam"),
        ("where do i live", "you live in Berlin"),
        ("do you remember my dog", "Rex"),
        ("What colour is the boat?", "the boat is red"),
    ],
)
def test_memories_answer_questions_about_the_person(talk: Talk, question: str, answer: str) -> None:
    talk.memories = [
        memory("My dog is called Rex."),
        memory("my name is Sam"),
        memory("What is my name?"),
        memory("I live in Berlin and my brother lives in Rome."),
        memory("The boat is red, by colour and by name."),
    ]
    reply = talk.ask(question)
    assert answer in reply.text
    assert reply.text.startswith("You told me: ")
    assert reply.sources[0].kind is SourceKind.MEMORY


@pytest.mark.parametrize(
    ("question", "answer"),
    [("我叫什么名字？", "你叫小明"), ("我的狗叫什么", "旺财"), ("我住在哪里", "上海")],
)
def test_memories_in_chinese(talk: Talk, question: str, answer: str) -> None:
    talk.memories = [memory("我叫小明。"), memory("我的狗叫旺财。"), memory("我住在上海。")]
    reply = talk.ask(question)
    assert answer in reply.text
    assert reply.text.startswith("你告诉过我：")


def test_what_was_never_told_is_not_made_up(talk: Talk) -> None:
    for question in ("What is my name?", "how old am i", "我叫什么名字？", "我多大了"):
        reply = talk.ask(question)
        assert reply.sources == ()
        assert "told me" in reply.text or "no memory" in reply.text or "告诉" in reply.text


def test_all_that_is_remembered_can_be_asked_for(talk: Talk) -> None:
    talk.memories = [
        memory("I like tea."),
        memory("I am tall."),
        memory("It rains.", role=Role.ASSISTANT),
    ]
    reply = talk.ask("what do you know about me")
    assert reply.text == "You told me: you like tea. You also told me: you are tall."


def test_words_of_two_people_are_not_turned_round(talk: Talk) -> None:
    talk.memories = [memory("I told you that you speak like my aunt.")]
    assert (
        "I told you that you speak like my aunt." in talk.ask("what did i say about my aunt").text
    )


def test_what_the_engine_said_is_not_put_into_the_persons_mouth(talk: Talk) -> None:
    talk.memories = [memory("Your parcel weighs two pounds.", role=Role.ASSISTANT)]
    assert talk.ask("how much does my parcel weigh").text.startswith("I told you: ")


def test_a_statement_is_acknowledged(talk: Talk) -> None:
    assert "hanks" in talk.ask("My dog is called Rex.").text
    assert "谢谢" in talk.ask("我喜欢打篮球").text


def test_documents_answer_what_the_corpus_does_not(talk: Talk) -> None:
    reply = talk.ask("Which port does the gateway listen on?")
    assert "50050" in reply.text
    assert reply.sources[0].kind is SourceKind.DOCUMENT
    assert reply.sources[0].name == "how-anima-works.en.md"
    chinese = talk.ask("待机循环是什么")
    assert chinese.sources[0].name == "how-anima-works.zh.md"


def test_a_question_may_be_answered_in_the_other_language(talk: Talk) -> None:
    chinese = talk.ask("what can you do", language="zh")
    assert "声音" in chinese.text
    english = talk.ask("你能做什么？", language="en")
    assert "talk with you" in english.text
    unknown = talk.ask("what is the capital of france", language="zh")
    assert unknown.sources == ()
    assert "你可以问我" in unknown.text


def test_every_suggestion_is_answered(talk: Talk) -> None:
    for language, suggestions in talk.persona.profile.suggestions.items():
        for suggestion in suggestions:
            talk.history.clear()
            assert talk.ask(suggestion, language=language).sources, suggestion
