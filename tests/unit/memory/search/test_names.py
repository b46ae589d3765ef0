import numpy as np
import pytest

from memory.search.index import UserIndex
from memory.search.names import without_names
from memory.search.ranking import asked_speakers
from memory.store import IndexRow

LABELS = ["Caroline", "Will", "Jo", "小明", "Anna-Maria", "\0user"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is Caroline's dog called?", "What is dog called?"),
        ("what is caroline’s dog called?", "what is dog called?"),
        ("Did Caroline meet Anna-Maria?", "Did meet ?"),
        ("Will Will come?", "come?"),
        ("will it rain?", "will it rain?"),
        ("What does jo like?", "What does jo like?"),
        ("What does Jo like?", "What does like?"),
        ("Does Caroliner exist?", "Does Caroliner exist?"),
        ("小明的狗叫什么", "的狗叫什么"),
        ("我和小明去了哪里", "我和 去了哪里"),
        ("Caroline?", "Caroline?"),
    ],
)
def test_a_question_without_names(question: str, expected: str) -> None:
    assert without_names(question, LABELS) == expected


def test_a_chinese_name_is_found_inside_a_sentence() -> None:
    assert asked_speakers("我和小明去了哪里", {"小明", "小红"}) == {"小明"}


def test_rows_are_ordered_by_the_vector_without_names_and_judged_by_the_whole_one() -> None:
    index = UserIndex(2)
    vectors = {1: (1.0, 0.0), 2: (0.0, 1.0)}
    index.add(
        [
            IndexRow(
                row_id=row_id,
                text=text,
                session_id=str(row_id),
                vector=np.array(vectors[row_id], dtype=np.float32),
                speaker_name="Caroline",
            )
            for row_id, text in ((1, "Dear Bo"), (2, "My pet"))
        ]
    )
    whole, bare = np.array([[1, 0], [0, 1]], dtype=np.float32)
    asked: list[str] = []

    def embed(text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        asked.append(text)
        return np.asarray(bare)

    question = "Which animal has Caroline?"
    assert [row.row_id for row in index.search(question, whole, 2, "")] == [1, 2]
    found = index.search(question, whole, 2, "", embed=embed)
    assert [row.row_id for row in found] == [2, 1]
    assert asked == ["Which animal has ?"]
    assert found[1].vector_score == 1
    assert found[1].own_score > found[0].own_score
    index.search("Which animal?", whole, 2, "", embed=embed)
    assert len(asked) == 1
