from datetime import UTC, datetime

import pytest

from memory.search.index import UserIndex
from memory.search.times import Months, Period, periods_in
from memory.store import IndexRow


def ms(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What did I do in May 2023?", {(2023, 5)}),
        ("What happened on 20 May, 2023?", {(2023, 5)}),
        ("Where was I on May 20th 2023?", {(2023, 5)}),
        ("What was planned for the 3rd of March?", {(None, 3)}),
        ("Whom did I meet in early march?", {(None, 3)}),
        ("Was it mid-April or in June 2022?", {(None, 4), (2022, 6)}),
        ("What did I buy around 5 Jan?", {(None, 1)}),
        ("What did I cook in the first week of September?", {(None, 9)}),
        ("Which trips did I make in 2022?", {(2022, None)}),
        ("In June 2022 or in 2023?", {(2022, 6), (2023, None)}),
        ("May I ask you something?", set()),
        ("Did they march against it?", set()),
        ("What did Jan say about Dec?", set()),
        ("Is 2,023 or 1.2023 or 20233 a prime?", set()),
        ("Does it cost 2000 元?", set()),
        ("2023年5月我去了哪里？", {(2023, 5)}),
        ("十二月我说过什么", {(None, 12)}),
        ("2022年我在哪里", {(2022, None)}),
        ("三个月能学会吗", set()),
    ],
)
def test_months_and_years_of_a_question(
    question: str, expected: set[tuple[int | None, int | None]]
) -> None:
    assert periods_in(question) == {Period(*one) for one in expected}


def test_an_item_matches_the_month_in_which_it_was_said() -> None:
    months = Months(
        [
            ms(2023, 5, 20),
            ms(2023, 6, 10),
            ms(2023, 6, 20),
            ms(2022, 5, 20),
            ms(2023, 7, 2),
            0,
        ]
    )
    near = pytest.approx
    assert months.matches(periods_in("in May 2023")).tolist() == near([1, 0.3, 0.15, 0, 0, 0])
    assert months.matches(periods_in("in May")).tolist() == near([1, 0.3, 0.15, 1, 0, 0])
    assert months.matches(periods_in("in 2022")).tolist() == near([0, 0, 0, 1, 0, 0])
    assert months.matches(periods_in("in 2022 or July")).tolist() == near([0, 0, 0, 1, 1, 0])
    assert months.matches(periods_in("ever")).tolist() == [0] * 6


def test_the_end_of_a_month_is_that_of_any_time_zone() -> None:
    months = Months([ms(2023, 4, 30, 11), ms(2023, 6, 1, 11), ms(2023, 4, 29), ms(2023, 6, 2)])
    exactly = months.matches(periods_in("in May 2023")) == 1
    assert exactly.tolist() == [True, True, False, False]


def test_december_is_followed_by_january() -> None:
    months = Months([ms(2023, 12, 10), ms(2024, 1, 10), ms(2024, 2, 10)])
    for question in ("in December", "in December 2023"):
        assert months.matches(periods_in(question)).tolist() == pytest.approx([1, 0.3, 0])


def found(rows: list[tuple[str, int]], question: str) -> list[int]:
    index = UserIndex(None)
    index.add(
        [
            IndexRow(row_id=number, text=text, session_id="", vector=None, created_unix_ms=time)
            for number, (text, time) in enumerate(rows, 1)
        ]
    )
    return [row.row_id for row in index.search(question, None, 5, "")]


def test_what_was_said_in_the_month_of_the_question_is_first() -> None:
    rows = [("We hiked to a lake", ms(2023, month, 10)) for month in (3, 5, 9)]
    assert found(rows, "Where did we hike in May 2023?")[0] == 2
    assert found(rows, "Where did we hike in March?")[0] == 1
    assert found(rows, "Where did we hike?")[0] == 3  # of equal ones the newest


def test_a_question_for_a_time_finds_what_tells_one() -> None:
    rows = [("We hiked to a lake last Friday", 1), ("We hiked to a lake with cold water", 2)]
    assert found(rows, "When did we hike to the lake?")[0] == 1
    assert found(rows, "How long did we hike to the lake?")[0] == 1
    assert found(rows, "Who hiked to the lake with us?")[0] == 2


def test_a_question_for_a_number_finds_what_tells_one() -> None:
    rows = [("We hiked around three lakes", 1), ("We hiked around big lakes", 2)]
    assert found(rows, "How many lakes did we hike around?")[0] == 1
    assert found(rows, "Which lakes did we hike around?")[0] == 2
