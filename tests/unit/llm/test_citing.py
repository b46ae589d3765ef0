from __future__ import annotations

import pytest

from services.llm.prompt.citation import Citation
from services.llm.prompt.citing import cited
from services.llm.prompt.prompt import Memory, Role


def passage(title: str, text: str, page: int = 0) -> Memory:
    citation = Citation(title=title, page=page)
    return Memory(text=text, score=0.5, role=Role.SYSTEM, created_unix_ms=0, citation=citation)


GIVEN = (
    Memory(text="Staff handbook", score=1, role=Role.USER, created_unix_ms=0),
    passage("Staff handbook", "Guests register at the desk.", 3),
    passage("Staff handbook", "Each employee gets 27 days of holiday.", 2),
    passage("IT", "Each employee gets a laptop and 27 days of help."),
    passage("员工手册", "每位员工有27天年假。"),
)


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ("The staff handbook says that you get 27 days of holiday.", ["Staff handbook · page 2"]),
        ("You get 27 days of holiday.", []),
        ("It is so: 27 days of holiday.", []),
        ("According to IT, and to the Staff-Handbook: 27 days.", ["Staff handbook · page 2", "IT"]),
        ("《员工手册》说你有27天年假。", ["员工手册"]),
        ("I have not read the staff handbook.", []),
        ("", []),
    ],
)
def test_documents_that_an_answer_names_are_its_sources(answer: str, names: list[str]) -> None:
    assert [source.name for source in cited(GIVEN, answer)] == names
