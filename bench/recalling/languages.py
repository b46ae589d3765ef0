"""Measures how often memories are found by questions in other words, also across languages."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from memory.search.index import UserIndex
from memory.search.ranking import weights_for
from memory.store import IndexRow
from retrieval.embedding import Embedder
from retrieval.encoders import DEFAULT_ENCODER, ENGLISH_ENCODER
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import AnimaError
from services.runtime.models.store import ModelStore

FILE: Final = Path(__file__).with_name("memories.toml")
LANGUAGES: Final = {"en": "English", "zh": "Chinese"}
DEPTHS: Final = (1, 3, 5)


@dataclass(frozen=True)
class Memory:
    text: dict[str, str]
    question: dict[str, str]
    """Empty for memories that nobody asks for."""


def memories() -> list[Memory]:
    content = tomllib.loads(FILE.read_text(encoding="utf-8"))["memory"]
    return [
        Memory(
            {language: one[language] for language in LANGUAGES},
            {language: one[f"ask_{language}"] for language in LANGUAGES if "ask_en" in one},
        )
        for one in content
    ]


def index_of(texts: list[str], embedder: Embedder | None) -> UserIndex:
    vectors = None if embedder is None else embedder.embed(texts)
    dimensions = None if embedder is None else embedder.dimensions
    index = UserIndex(dimensions, weights_for("" if embedder is None else embedder.model_id))
    index.add(
        [
            IndexRow(
                row_id=at + 1,
                text=text,
                session_id="",
                vector=None if vectors is None else vectors[at],
            )
            for at, text in enumerate(texts)
        ]
    )
    return index


def shares(said_in: str, asked_in: str, embedder: Embedder | None) -> list[float]:
    """Returns how many questions find their memory among the first, for each depth, in percent."""
    known = memories()
    index = index_of([one.text[said_in] for one in known], embedder)
    ranks = []
    for row_id, one in enumerate(known, 1):
        if one.question:
            question = one.question[asked_in]
            vector = None if embedder is None else embedder.embed_query(question)
            found = [row.row_id for row in index.search(question, vector, max(DEPTHS), "")]
            ranks.append(found.index(row_id) + 1 if row_id in found else len(known))
    return [100 * sum(rank <= depth for rank in ranks) / len(ranks) for depth in DEPTHS]


def bench(embedder: Embedder | None) -> None:
    """Prints the shares for each pair of languages."""
    name = "words alone" if embedder is None else embedder.model_id.partition("@")[0]
    for said_in, said in LANGUAGES.items():
        for asked_in, asked in LANGUAGES.items():
            figures = " ".join(f"{share:5.0f}" for share in shares(said_in, asked_in, embedder))
            print(f"{name:24} {asked:8} question, {said:8} memory: {figures}")


def main() -> None:
    models = ModelStore(ServiceSettings.from_environment().data_dir / "models")
    print(f"memories found among the first {DEPTHS}, %")
    for encoder in (DEFAULT_ENCODER, ENGLISH_ENCODER, None):
        try:
            bench(None if encoder is None else Embedder(models.path(encoder)))
        except AnimaError as error:
            print(error.message)


if __name__ == "__main__":
    main()
