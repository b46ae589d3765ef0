"""Reads "Max is 14" as "My son is 14", once it is known that the son is called Max."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from text.facts.candidate import USER, Candidate
from text.languages import has_chinese

_VERB: Final = r"(?:is|was|has|lives|works|plays|likes|loves|hates|speaks|comes)"
_VERB_CHINESE: Final = r"今年|[\d一二三四五六七八九十]+岁|是|住|在|喜欢|讨厌|会|有|对"


def names_of(facts: Iterable[Candidate]) -> dict[str, str]:
    """Returns the relation of each known name: "Max" is the "son"."""
    return {
        fact.value: fact.subject
        for fact in facts
        if fact.attribute == "name" and fact.subject != USER and fact.value
    }


def question_about(question: str, names: Mapping[str, str]) -> str:
    """Replaces known names in a question: "How old is Max?" -> "How old is my son?"."""
    for name, relation in names.items():
        if has_chinese(relation):
            question = question.replace(name, f"我的{relation}")
        elif re.search(rf"\b{re.escape(relation)} {re.escape(name)}\b", question) is None:
            whole = rf"\b{re.escape(name)}\b"
            question = re.sub(whole, f"my {relation}", question, flags=re.IGNORECASE)
    return question


def statement_about(statement: str, names: Mapping[str, str]) -> str:
    """Replaces a known name that begins a statement: "Max is 14." -> "My son is 14."."""
    for name, relation in names.items():
        if has_chinese(relation):
            statement = re.sub(
                rf"^{re.escape(name)}(?={_VERB_CHINESE})", f"我的{relation}", statement
            )
        else:
            begins = rf"^{re.escape(name)}(?= {_VERB}\b)"
            statement = re.sub(begins, f"My {relation}", statement, flags=re.IGNORECASE)
    return statement
