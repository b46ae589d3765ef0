"""Measures how much of the evidence for questions the memory's own index recalls.

The file contains conversations with questions in the format of LoCoMo. It is passed by its path and
not part of the repository: its licence forbids its use in a product. The weights of the index were
set on the first conversation of the development file; the row of the others is the result.
"""

import argparse
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memory.search.index import UserIndex
from memory.store import IndexRow
from retrieval.embedding import Embedder
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
DEPTHS = (5, 10, 20)


@dataclass(frozen=True)
class Turn:
    turn_id: str
    session_id: str
    speaker: str
    text: str


@dataclass(frozen=True)
class Question:
    text: str
    evidence: list[str]
    category: int


@dataclass(frozen=True)
class Conversation:
    turns: list[Turn]
    questions: list[Question]


def conversations(path: Path) -> Iterator[Conversation]:
    for entry in json.loads(path.read_text(encoding="utf-8")):
        turns = list(turns_of(entry["conversation"]))
        ids = {turn.turn_id for turn in turns}
        questions = []
        for asked in entry["qa"]:
            evidence = normalised_evidence(asked.get("evidence", []), ids)
            if evidence and asked["category"] in CATEGORIES:
                questions.append(Question(asked["question"], evidence, asked["category"]))
        yield Conversation(turns, questions)


def turns_of(conversation: dict[str, Any]) -> Iterator[Turn]:
    numbers = sorted(int(k.split("_")[1]) for k in conversation if re.fullmatch(r"session_\d+", k))
    for number in numbers:
        for turn in conversation[f"session_{number}"]:
            caption = f" [{turn['blip_caption']}]" if turn.get("blip_caption") else ""
            yield Turn(turn["dia_id"], f"s{number}", turn["speaker"], turn["text"] + caption)


def normalised_evidence(evidence: list[str], known: set[str]) -> list[str]:
    found = re.findall(r"D:?(\d+):(\d+)", " ".join(evidence))
    return [turn for turn in (f"D{int(s)}:{int(t)}" for s, t in found) if turn in known]


def index_of(conversation: Conversation, embedder: Embedder | None) -> UserIndex:
    turns = conversation.turns
    texts = [f"{turn.speaker}: {turn.text}" for turn in turns]
    vectors = None if embedder is None else embedder.embed(texts)
    index = UserIndex(None if embedder is None else embedder.dimensions)
    index.add(
        [
            IndexRow(
                row_id=number + 1,
                text=turn.text,
                session_id=turn.session_id,
                vector=None if vectors is None else vectors[number],
                speaker_name=turn.speaker,
            )
            for number, turn in enumerate(turns)
        ]
    )
    return index


@dataclass(frozen=True)
class Measured:
    conversation: int
    category: int
    recalls: list[float]
    search_ms: float


def measured(path: Path, embedder: Embedder | None) -> Iterator[Measured]:
    for number, conversation in enumerate(conversations(path)):
        index = index_of(conversation, embedder)
        for question in conversation.questions:
            vector = None if embedder is None else embedder.embed([question.text])[0]
            start = time.perf_counter()
            found = index.search(question.text, vector, max(DEPTHS), "")
            search_ms = (time.perf_counter() - start) * 1000
            ids = [conversation.turns[row.row_id - 1].turn_id for row in found]
            evidence = question.evidence
            recalls = [sum(e in ids[:depth] for e in evidence) / len(evidence) for depth in DEPTHS]
            yield Measured(number, question.category, recalls, search_ms)


def show(name: str, rows: list[Measured]) -> None:
    if not rows:
        print(f"{name:36}{0:5}   no questions")
        return
    figures = "".join(f"{100 * v:7.1f} " for v in np.mean([row.recalls for row in rows], axis=0))
    print(f"{name:36}{len(rows):5}{figures}")


def bench(path: Path, embedder: Embedder | None) -> None:
    """Prints recall at each depth, overall and by category."""
    rows = list(measured(path, embedder))
    print(f"{'share of the evidence recalled, %':41}" + "".join(f"   R@{d:<3}" for d in DEPTHS))
    show("all conversations", rows)
    show("the one that the weights were set on", [row for row in rows if row.conversation == 0])
    others = [row for row in rows if row.conversation != 0]
    show("all others", others)
    for category, name in CATEGORIES.items():
        show(f"  {name}", [row for row in others if row.category == category])
    print(f"search without embedding: p50 {np.median([row.search_ms for row in rows]):.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("conversations", type=Path, help="a JSON file in the format of LoCoMo")
    parser.add_argument("--words-only", action="store_true", help="search without vectors")
    arguments = parser.parse_args()
    models = ModelStore(ServiceSettings.from_environment().data_dir / "models")
    embedder = None if arguments.words_only else Embedder(models.path("minilm-l6-v2"))
    bench(arguments.conversations, embedder)


if __name__ == "__main__":
    main()
