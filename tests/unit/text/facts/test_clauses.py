from __future__ import annotations

import pytest

from text.facts.candidate import Candidate
from text.facts.clauses import clauses
from text.facts.extraction import findings


def facts(text: str) -> set[str]:
    return {
        f"{one.subject}.{one.attribute}={one.value}"
        for one in findings(text)
        if isinstance(one, Candidate)
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "My brother lives in Porto and works as a nurse.",
            {"brother.home=Porto", "brother.job=nurse"},
        ),
        (
            "My best friend Jonas hates fish and lives in Bergen.",
            {"best friend.name=Jonas", "best friend.home=Bergen"},
        ),
        ("I live in Leeds and work as a baker.", {"user.home=Leeds", "user.job=baker"}),
        ("I used to live in Rome before I moved to Turin.", {"user.home=Turin"}),
        ("I moved from Oslo to Turku last year.", {"user.home=Turku"}),
        ("I have two dogs, Rex and Luna.", {"user.has=two dogs", "dog.name=Rex", "dog.name=Luna"}),
        (
            "My children are called Anna, Ben and Clara.",
            {f"child.name={n}" for n in ("Anna", "Ben", "Clara")},
        ),
        ("I'm Peter.", {"user.name=Peter"}),
        ("I'm German.", set()),
        ("I'm hungry", set()),
        ("Yesterday I adopted a cat called Pixel.", {"cat.name=Pixel"}),
        ("My daughter is seven.", {"daughter.age=seven"}),
        ("I can not stand cilantro.", {"user.dislikes=cilantro"}),
        ("我以前住在上海，现在住在苏州。", {"user.home=苏州"}),
        ("我去年从北京搬到了大连。", {"user.home=大连"}),
        ("我哥哥住在广州，是一名厨师。", {"哥哥.home=广州", "哥哥.job=厨师"}),
        ("我有两只狗，叫旺财和来福。", {"user.has=两只狗", "狗.name=旺财", "狗.name=来福"}),
        ("我是张伟。", {"user.name=张伟"}),
        ("我是高中生。", set()),
        ("我是张伟的朋友。", set()),
        ("我女儿七岁。", {"女儿.age=七"}),
    ],
)
def test_each_clause_keeps_its_subject(text: str, expected: set[str]) -> None:
    assert facts(text) == expected


@pytest.mark.parametrize(
    ("text", "about", "clause"),
    [
        ("He is four years old.", "dog", "My dog is four years old"),
        ("它四岁了。", "狗", "我的狗四岁了"),
        ("He is four years old.", "", "He is four years old"),
    ],
)
def test_a_pronoun_means_the_last_one_spoken_of(text: str, about: str, clause: str) -> None:
    assert [one.text for one in clauses(text, about=about)] == [clause]


def test_what_was_meant_takes_the_place_of_what_was_said() -> None:
    for text, right in (("Sorry, I meant John.", "John"), ("不好意思，我是说李鸣。", "李鸣")):
        (found,) = findings(text)
        assert getattr(found, "right", "") == right
