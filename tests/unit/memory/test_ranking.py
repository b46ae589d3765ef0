"""Ranking of an item by more than its own words: its neighbours and its speaker."""

import pytest

from memory.search.index import UserIndex
from memory.search.ranking import ASSISTANT, USER, asked_speakers
from memory.store import IndexRow


def index_of(*rows: tuple[str, str, str]) -> UserIndex:
    """Makes an index, without vectors, of (session, speaker, text)."""
    index = UserIndex(None)
    index.add(
        [
            IndexRow(
                row_id=number,
                text=text,
                session_id=session,
                vector=None,
                speaker_name="" if speaker in {"user", "assistant"} else speaker,
                by_assistant=speaker == "assistant",
            )
            for number, (session, speaker, text) in enumerate(rows, 1)
        ]
    )
    return index


def found(index: UserIndex, query: str, k: int = 5) -> list[int]:
    return [row.row_id for row in index.search(query, None, k, "")]


def test_an_answer_is_found_by_its_question() -> None:
    index = index_of(
        ("s1", "assistant", "Which instrument do you play?"),
        ("s1", "user", "The cello, since I was nine."),
        ("s2", "user", "The weather is fine today."),
    )
    assert set(found(index, "instrument play", 2)) == {1, 2}


def test_an_answer_of_another_session_is_not_found_by_it() -> None:
    index = index_of(
        ("s1", "assistant", "Which instrument do you play?"),
        ("s2", "user", "The weather is fine today."),
    )
    assert found(index, "instrument play") == [1]


def test_of_two_that_fit_alike_the_one_of_the_fitting_session_is_first() -> None:
    index = index_of(
        ("s1", "user", "We left on Friday."),
        ("s2", "user", "We left on Friday."),
        ("s2", "user", "The ferry was late."),
        ("s2", "user", "In Norway there was snow on the fjords."),
    )
    assert found(index, "Norway Friday", 3).index(2) < found(index, "Norway Friday", 4).index(1)


def test_who_is_asked_for_comes_first() -> None:
    index = index_of(
        ("a", "Ada", "I like red tulips"), ("b", "Bo", "I like red tulips"), ("c", "Bo", "rain")
    )
    assert found(index, "Which tulips does Ada like?")[0] == 1
    assert found(index, "Which tulips does Bo like?")[0] == 2


def test_own_words_and_answers_are_told_apart() -> None:
    index = index_of(
        ("a", "user", "a good book about trees"), ("b", "assistant", "a good book about trees")
    )
    assert found(index, "Which book about trees do I have?")[0] == 1
    assert found(index, "Which book about trees did you recommend?")[0] == 2


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Where do I live?", {USER}),
        ("我住在哪里", {USER}),
        ("What did you tell me about trees?", {ASSISTANT}),
        ("你推荐过什么书", {ASSISTANT}),
        ("Where did Ada go?", {"Ada"}),
        ("Is it Adam?", {"Ada"}),
        ("How high is Everest?", set()),
    ],
)
def test_a_query_says_whose_words_it_asks_for(query: str, expected: set[str]) -> None:
    assert asked_speakers(query, {USER, ASSISTANT, "Ada"}) == expected
