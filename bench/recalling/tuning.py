"""Shows whether the weights of the memory's ranking hold on a conversation that was left out.

For each conversation the weights are tuned on all others, from those of `memory.search.ranking` by
coordinate descent on the share of the evidence among the first ten turns, and measured on it.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np

from bench.recalling.conversations import Conversation, conversations
from bench.recalling.turns import Vectors, index_of, search
from memory.search.ranking import Weights
from retrieval.embedding import Embedder
from retrieval.encoders import DEFAULT_ENCODER
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore

DEPTH = 10
FACTORS = (0.5, 0.75, 1.33, 2.0)
ROUNDS = 2
UNUSED = {"fact"}
"""Weights without effect here: the conversations have no facts."""


class Tuning:
    """Measures each weighting of each conversation once."""

    def __init__(self, talks: Sequence[Conversation], vectors: Vectors) -> None:
        self._talks = talks
        self._vectors = vectors
        self.shipped = vectors.weights
        self._known: dict[tuple[int, Weights], list[float]] = {}

    def recalls(self, number: int, weights: Weights) -> list[float]:
        """Returns the recall of each question of a conversation."""
        key = (number, weights)
        if key not in self._known:
            self._known[key] = self._measured(self._talks[number], weights)
        return self._known[key]

    def _measured(self, talk: Conversation, weights: Weights) -> list[float]:
        index = index_of(talk, self._vectors, weights)
        recalls = []
        for question in talk.questions:
            found = search(index, self._vectors, question.text, DEPTH)
            ids = {talk.turns[row.row_id - 1].turn_id for row in found}
            recalls.append(sum(e in ids for e in question.evidence) / len(question.evidence))
        return recalls

    def mean(self, numbers: Sequence[int], weights: Weights) -> float:
        """Returns the mean recall of the questions of some conversations."""
        return float(np.mean([r for n in numbers for r in self.recalls(n, weights)]))

    def tuned(self, numbers: Sequence[int]) -> Weights:
        """Returns the weights that are best for some conversations."""
        best = self.shipped
        score = self.mean(numbers, best)
        for _ in range(ROUNDS):
            before = best
            for field in fields(Weights):
                if field.name in UNUSED:
                    continue
                value = getattr(best, field.name)
                for factor in FACTORS:
                    other = replace(best, **{field.name: round(value * factor, 4)})
                    if (reached := self.mean(numbers, other)) > score:
                        best, score = other, reached
            if best == before:
                break
        return best


def bench(path: Path, embedder: Embedder) -> None:
    """Prints the recall of each conversation with weights tuned on the others, and of all."""
    talks = list(conversations(path))
    tuning = Tuning(talks, Vectors(embedder))
    everyone, left_out = range(len(talks)), list[float]()
    for number in everyone:
        others = [other for other in everyone if other != number]
        weights = tuning.tuned(others)
        recalls = tuning.recalls(number, weights)
        left_out += recalls
        changed = {k: v for k, v in asdict(weights).items() if v != getattr(tuning.shipped, k)}
        print(
            f"conversation {number + 1}: {100 * np.mean(recalls):.1f}, tuned on the others"
            f" {100 * tuning.mean(others, weights):.1f}; changed: {changed}",
            flush=True,
        )
    print(f"R@{DEPTH} of what was left out: {100 * np.mean(left_out):.1f}")
    print(
        f"R@{DEPTH} with the product's weights: {100 * tuning.mean(everyone, tuning.shipped):.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("conversations", type=Path, help="a JSON file in the format of LoCoMo")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="a model of the store")
    arguments = parser.parse_args()
    models = ModelStore(ServiceSettings.from_environment().data_dir / "models")
    bench(arguments.conversations, Embedder(models.path(arguments.encoder)))


if __name__ == "__main__":
    main()
