"""Measures how much of the evidence for questions the memory's own index recalls.

Turns: the share of a question's evidence among the first turns. Sessions: the share of the sessions
of its evidence among the first ten, where a session ranks as its best turn; with 19 to 32 sessions
that is an easy figure. `bench.recalling.tuning` shows whether the weights hold for a conversation
that they were not tuned on.
"""

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.recalling.conversations import CATEGORIES, Conversation, conversations, in_first_person
from memory.search.index import Found, UserIndex
from memory.search.ranking import Weights, weights_for
from memory.store import IndexRow
from retrieval.embedding import Embedder
from retrieval.encoders import DEFAULT_ENCODER
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore

DEPTHS = (5, 10, 20)
SESSIONS = 10
Vector = NDArray[np.float32]


class Vectors:
    """Computes each vector once. Without an embedder there are none."""

    def __init__(self, embedder: Embedder | None) -> None:
        self._embedder = embedder
        self._known: dict[str, Vector] = {}

    @property
    def dimensions(self) -> int | None:
        return None if self._embedder is None else self._embedder.dimensions

    @property
    def weights(self) -> Weights:
        """The product's weights for these vectors."""
        return weights_for("" if self._embedder is None else self._embedder.model_id)

    def of(self, texts: Sequence[str]) -> list[Vector | None]:
        if self._embedder is None:
            return [None] * len(texts)
        missing = sorted(set(texts) - self._known.keys())
        self._known |= dict(zip(missing, self._embedder.embed(missing), strict=True))
        return [self._known[text] for text in texts]

    def embed(self, text: str) -> Vector:
        (vector,) = self.of([text])
        assert vector is not None
        return vector


def index_of(
    conversation: Conversation, vectors: Vectors, weights: Weights | None = None
) -> UserIndex:
    index = UserIndex(vectors.dimensions, weights or vectors.weights)
    found = vectors.of([turn.searched_text for turn in conversation.turns])
    index.add(
        [
            IndexRow(
                row_id=number,
                text=turn.text,
                session_id=turn.session_id,
                vector=vector,
                speaker_name=turn.speaker,
                by_assistant=turn.by_assistant,
                created_unix_ms=turn.created_unix_ms,
            )
            for number, (turn, vector) in enumerate(zip(conversation.turns, found, strict=True), 1)
        ]
    )
    return index


@dataclass(frozen=True)
class Measured:
    conversation: int
    category: int
    recalls: list[float]
    session_recall: float
    search_ms: float


def search(index: UserIndex, vectors: Vectors, question: str, k: int) -> list[Found]:
    (vector,) = vectors.of([question])
    return index.search(question, vector, k, "", embed=vectors.embed)


def measured(number: int, conversation: Conversation, vectors: Vectors) -> Iterator[Measured]:
    index = index_of(conversation, vectors)
    turns = {turn.turn_id: turn for turn in conversation.turns}
    for question in conversation.questions:
        search(index, vectors, question.text, 1)  # its vectors are computed before the clock runs
        start = time.perf_counter()
        found = search(index, vectors, question.text, max(DEPTHS))
        search_ms = (time.perf_counter() - start) * 1000
        ids = [conversation.turns[row.row_id - 1].turn_id for row in found]
        evidence = question.evidence
        wanted = {turns[turn_id].session_id for turn_id in evidence}
        sessions = sessions_of(
            conversation, search(index, vectors, question.text, len(conversation.turns))
        )
        yield Measured(
            number,
            question.category,
            [sum(e in ids[:depth] for e in evidence) / len(evidence) for depth in DEPTHS],
            len(wanted & set(sessions[:SESSIONS])) / len(wanted),
            search_ms,
        )


def sessions_of(conversation: Conversation, found: Iterable[Found]) -> list[str]:
    """Returns the sessions of the rows, in the order of their best rows."""
    ordered = (conversation.turns[row.row_id - 1].session_id for row in found)
    return list(dict.fromkeys(ordered))


def show(name: str, rows: list[Measured]) -> None:
    if not rows:
        print(f"{name:36}{0:5}   no questions")
        return
    figures = "".join(f"{100 * v:7.1f} " for v in np.mean([row.recalls for row in rows], axis=0))
    sessions = 100 * np.mean([row.session_recall for row in rows])
    print(f"{name:36}{len(rows):5}{figures}{sessions:9.1f}")


def bench(path: Path, embedder: Embedder | None) -> None:
    """Prints recall at each depth, overall and by category, with names and in the first person."""
    vectors = Vectors(embedder)
    heads = "".join(f"   R@{d:<3}" for d in DEPTHS)
    print(f"{'share of the evidence recalled, %':41}{heads}  sessions@{SESSIONS}")
    talks = list(conversations(path))
    rows = [row for n, talk in enumerate(talks) for row in measured(n, talk, vectors)]
    show("all questions", rows)
    for category, name in CATEGORIES.items():
        show(f"  {name}", [row for row in rows if row.category == category])
    for number in range(len(talks)):
        show(f"  conversation {number + 1}", [row for row in rows if row.conversation == number])
    own = [
        row
        for n, talk in enumerate(talks)
        for mine in in_first_person(talk)
        for row in measured(n, mine, vectors)
    ]
    show("in the first person, without names", own)
    for category, name in CATEGORIES.items():
        show(f"  {name}", [row for row in own if row.category == category])
    print(f"search without embedding: p50 {np.median([row.search_ms for row in rows]):.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("conversations", type=Path, help="a JSON file in the format of LoCoMo")
    parser.add_argument("--words-only", action="store_true", help="search without vectors")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="a model of the store")
    arguments = parser.parse_args()
    models = ModelStore(ServiceSettings.from_environment().data_dir / "models")
    embedder = None if arguments.words_only else Embedder(models.path(arguments.encoder))
    bench(arguments.conversations, embedder)


if __name__ == "__main__":
    main()
