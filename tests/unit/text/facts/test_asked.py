from __future__ import annotations

import pytest

from text.facts.asked import asked, same_relation


@pytest.mark.parametrize(
    ("question", "subject", "attribute"),
    [
        ("What is my name?", "user", "name"),
        ("who am i", "user", "name"),
        ("What are my dogs called?", "dog", "name"),
        ("Where does my brother live?", "brother", "home"),
        ("How old is my daughter?", "daughter", "age"),
        ("What don't I like?", "user", "dislikes"),
        ("Which food do I not like?", "user", "dislikes"),
        ("What do I like to eat?", "user", "likes"),
        ("What's my favourite colour?", "user", "favourite colour"),
        ("我叫什么名字？", "user", "name"),
        ("我哥哥是做什么的？", "哥哥", "job"),
        ("我讨厌吃什么？", "user", "dislikes"),
        ("我最喜欢的颜色是什么？", "user", "favourite 颜色"),
    ],
)
def test_a_question_names_whose_attribute_is_asked_for(
    question: str, subject: str, attribute: str
) -> None:
    found = asked(question)
    assert found.subject == subject
    assert found.attributes[0] == attribute


@pytest.mark.parametrize("question", ["Where do you live?", "What is FAISS?", "你住在哪里？"])
def test_a_question_about_others_is_not_about_the_person(question: str) -> None:
    assert asked(question).subject == ""


def test_relations_are_compared_by_what_they_mean() -> None:
    assert same_relation("mum", "mother")
    assert same_relation("friend", "best friend")
    assert not same_relation("older sister", "younger sister")
    assert not same_relation("user", "dog")
