"""Measures retrieval on a file of conversations with questions in the form of LoCoMo.

The file is given by its path and stays where it is: its licence forbids its use in a product.
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
from numpy.typing import NDArray

from retrieval.embedding import Embedder
from retrieval.hybrid import best_first, blend
from retrieval.lexical import LexicalIndex

ADVERSARIAL = 5
DEPTHS = (5, 10, 20)


@dataclass(frozen=True)
class Conversation:
    texts: list[str]
    ids: list[str]
    questions: list[tuple[str, list[str]]]


def conversations(path: Path) -> Iterator[Conversation]:
    for entry in json.loads(path.read_text(encoding="utf-8")):
        ids, texts = [], []
        for turn in turns_of(entry["conversation"]):
            caption = f" [{turn['blip_caption']}]" if turn.get("blip_caption") else ""
            ids.append(turn["dia_id"])
            texts.append(f"{turn['speaker']}: {turn['text']}{caption}")
        questions = []
        for asked in entry["qa"]:
            evidence = normalised_evidence(asked.get("evidence", []), set(ids))
            if evidence and asked["category"] != ADVERSARIAL:
                questions.append((asked["question"], evidence))
        yield Conversation(texts, ids, questions)


def turns_of(conversation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    numbers = sorted(int(k.split("_")[1]) for k in conversation if re.fullmatch(r"session_\d+", k))
    for number in numbers:
        yield from conversation[f"session_{number}"]


def normalised_evidence(evidence: list[str], known: set[str]) -> list[str]:
    found = re.findall(r"D:?(\d+):(\d+)", " ".join(evidence))
    return [turn for turn in (f"D{int(s)}:{int(t)}" for s, t in found) if turn in known]


def recalls(scores: NDArray[np.float32], ids: list[str], evidence: list[str]) -> list[float]:
    ranked = [ids[position] for position in best_first(scores, max(DEPTHS))]
    return [sum(e in ranked[:depth] for e in evidence) / len(evidence) for depth in DEPTHS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("conversations", type=Path, help="a JSON file in the form of LoCoMo")
    parser.add_argument("--model", type=Path, required=True, help="the folder of the encoder")
    arguments = parser.parse_args()
    embedder = Embedder(arguments.model)
    found: dict[str, list[list[float]]] = {"dense": [], "BM25": [], "blend": [], "blend/max": []}
    lexical_s: list[float] = []
    for conversation in conversations(arguments.conversations):
        vectors = embedder.embed(conversation.texts)
        words = LexicalIndex(conversation.texts)
        for question, evidence in conversation.questions:
            start = time.perf_counter()
            lexical = words.scores(question)
            lexical_s.append(time.perf_counter() - start)
            dense = vectors @ embedder.embed([question])[0]
            relative = lexical / max(float(lexical.max()), 1e-9)
            for name, scores in (
                ("dense", dense),
                ("BM25", lexical),
                ("blend", blend(dense, lexical)),
                ("blend/max", blend(dense, relative)),
            ):
                found[name].append(recalls(scores, conversation.ids, evidence))
    print(f"{len(lexical_s)} questions; BM25 p50 {np.median(lexical_s) * 1e3:.2f} ms")
    print("method     " + "".join(f"   R@{depth:<3}" for depth in DEPTHS))
    for name, rows in found.items():
        print(f"{name:11}" + "".join(f"{100 * v:7.1f} " for v in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
