from __future__ import annotations

import pytest

from text.facts.candidate import Candidate
from text.facts.extraction import findings
from text.facts.names import names_of, question_about, statement_about


@pytest.mark.parametrize(
    ("told", "question", "meant", "statement", "read"),
    [
        (
            "My son is called Max.",
            "How old is Max?",
            "How old is my son?",
            "Max is 14.",
            "My son is 14.",
        ),
        ("我的狗叫旺财。", "旺财几岁了？", "我的狗几岁了？", "旺财四岁了。", "我的狗四岁了。"),
    ],
)
def test_a_known_name_means_its_relation(
    told: str, question: str, meant: str, statement: str, read: str
) -> None:
    names = names_of(one for one in findings(told) if isinstance(one, Candidate))
    assert question_about(question, names) == meant
    assert statement_about(statement, names) == read


def test_a_namesake_stays_who_he_is() -> None:
    names = {"Max": "son"}
    assert statement_about("My name is Max.", names) == "My name is Max."
    assert question_about("How old is my son Max?", names) == "How old is my son Max?"
