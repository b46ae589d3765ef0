"""Condenses turns to their most central sentences.

The sentences closest to the centre of all sentences represent the topic (centroid-based
extraction, Radev et al. 2004); maximal marginal relevance (Carbonell and Goldstein, 1998) omits
sentences that repeat a chosen one.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anima.memory.v1 import SPEAKER_USER
from memory.items.item import Item, searched_text
from memory.reflection.condensed import Condensed
from retrieval.tokeniser import tokens
from text.languages import is_chinese

EXTRACTOR: Final = "sentences-1"
"""The name and version of this method."""
_MOST_SENTENCES = 3
_MOST_CANDIDATES = 120
_MOST_CHARS = 240
_LEAST_TOKENS = 4
_RELEVANCE = 0.7
_SAME = 0.85
_QUESTION = 0.6
_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*|\n+")

Vectors = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sentence:
    text: str
    speaker_name: str
    weight: float


def by_sentences(
    turns: Sequence[Item], embed: Callable[[Sequence[str]], Vectors] | None
) -> Condensed:
    """Condenses turns to at most three of their sentences, in the order of the conversation.

    Args:
        turns: In order of time, at least one; the person's own turns are used, if there are any.
        embed: Returns unit vectors, shape [texts, dimensions]; None means words are compared.
    """
    said = [turn for turn in turns if turn.speaker == SPEAKER_USER]
    sentences = _sentences(said or turns)
    texts = [sentence.text for sentence in sentences]
    vectors = _word_vectors(texts) if embed is None else embed(texts)
    weights = np.array([sentence.weight for sentence in sentences], dtype=np.float32)
    chosen = [sentences[at] for at in sorted(central(vectors, weights))]
    named = len({turn.speaker_name for turn in turns}) > 1
    spoken = [searched_text(one.speaker_name if named else "", one.text) for one in chosen]
    return Condensed(
        text=dated(turns[0].created_unix_ms, spoken),
        in_words_of_the_person=bool(said),
        extractor=EXTRACTOR,
    )


def central(vectors: Vectors, weights: NDArray[np.float32]) -> list[int]:
    """Selects the rows that are closest to the centre and differ from each other, best first.

    Args:
        vectors: Of length 1 or 0; shape [rows, dimensions], at least one row.
        weights: Factors of each row's similarity to the centre.
    """
    centre = vectors.mean(axis=0)
    relevance = weights * (vectors @ (centre / max(float(np.linalg.norm(centre)), 1e-9)))
    chosen = [int(np.argmax(relevance))]
    while len(chosen) < min(_MOST_SENTENCES, len(vectors)):
        repeated = (vectors @ vectors[chosen].T).max(axis=1)
        gain = _RELEVANCE * relevance - (1 - _RELEVANCE) * repeated
        gain[repeated >= _SAME] = -np.inf
        gain[chosen] = -np.inf
        best = int(np.argmax(gain))
        if not np.isfinite(gain[best]):
            break
        chosen.append(best)
    return chosen


def dated(unix_ms: int, sentences: Sequence[str]) -> str:
    """Prepends the day (UTC) to sentences, in their language."""
    day = datetime.fromtimestamp(unix_ms / 1_000, UTC)
    if is_chinese("".join(sentences)):
        return f"{day.year}年{day.month}月{day.day}日：{''.join(sentences)}"
    return f"On {day.day} {day:%B} {day.year}: {' '.join(sentences)}"


def _sentences(turns: Sequence[Item]) -> list[_Sentence]:
    found = [
        _Sentence(
            text=_shortened(piece.strip()),
            speaker_name=turn.speaker_name,
            weight=_QUESTION if piece.rstrip().endswith(("?", "？")) else 1.0,
        )
        for turn in turns
        for piece in _END.split(turn.text)
        if piece.strip()
    ]
    telling = [one for one in found if len(tokens(one.text)) >= _LEAST_TOKENS]
    rest = telling or found
    # From a very long conversation, sentences are taken from all of it.
    return rest[:: -(-len(rest) // _MOST_CANDIDATES)]


def _shortened(sentence: str) -> str:
    if len(sentence) <= _MOST_CHARS:
        return sentence
    cut = sentence[: _MOST_CHARS - 1]
    return f"{cut[: cut.rfind(' ')] if ' ' in cut else cut}…"


def _word_vectors(texts: Sequence[str]) -> Vectors:
    words = [tokens(text) for text in texts]
    column = {word: at for at, word in enumerate(sorted({w for some in words for w in some}))}
    counts = np.zeros((len(texts), max(len(column), 1)), dtype=np.float32)
    for row, some in enumerate(words):
        for word in some:
            counts[row, column[word]] += 1
    lengths = np.linalg.norm(counts, axis=1, keepdims=True)
    return np.asarray(counts / np.maximum(lengths, 1e-9), dtype=np.float32)
