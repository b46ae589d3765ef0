"""Combines the scores of an item: its own words and meaning, its surroundings, and its kind.

The weights were tuned on five conversations in LoCoMo's format; `bench/recalling/tuning.py` shows
that they hold on a conversation that was left out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders import is_multilingual
from retrieval.hybrid import LEXICAL_WEIGHT, blend, lexical_weight
from text.normal import normalised
from text.scripts import is_ideographic

Scores = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """How much each sign counts.

    Attributes:
        lexical: The words of the item; the rest of 1 is for its meaning.
        previous_lexical: The words of the item before; an answer is found by its question.
        next_lexical: The words of the item after.
        previous_vector: The meaning of the item before; a short remark is found by its topic.
        next_vector: The meaning of the item after.
        session_lexical: The words of the whole session.
        length: Of two items that fit equally, the longer one is the better evidence.
        question: A question is seldom evidence of anything.
        speaker: A question about oneself is answered by one's own words.
        fact: A fact is short, and made to be found.
        period: The item is of a month or year that the question names.
        when: The question asks for a time, and the item tells one.
        how_many: The question asks for a number, and the item tells one.
    """

    lexical: float = LEXICAL_WEIGHT
    previous_lexical: float = 0.25
    next_lexical: float = 0.2
    previous_vector: float = 0.05
    next_vector: float = 0.05
    session_lexical: float = 0.3
    length: float = 0.08
    question: float = 0.15
    speaker: float = 0.6
    fact: float = 0.4
    period: float = 0.8
    when: float = 0.2
    how_many: float = 0.15


WEIGHTS: Final = Weights()


def weights_for(model_id: str) -> Weights:
    """Returns the weights for the vectors of a model."""
    if not is_multilingual(model_id):
        return WEIGHTS
    return replace(
        WEIGHTS,
        lexical=lexical_weight(model_id),
        previous_lexical=0.19,
        previous_vector=0.1,
        next_vector=0.1,
        question=0.2,
    )


_ASKED_WHAT_WAS_ANSWERED = re.compile(
    r"\b(?:you|your)\b.*\b(?:say|said|tell|told|explain\w*|recommend\w*|suggest\w*|promis\w*|mean)\b"
    r"|你.*(?:说过|告诉|推荐|建议|答应|讲)"
)
_ASKED_ABOUT_THE_PERSON = re.compile(
    r"\b(?:i|i'm|i've|i'd|i'll|me|my|mine|myself|we|our|us)\b|[我咱俺]"
)

FULL_RANK = 2.8
"""A rank that counts as a full score; one of a hundred questions finds an item above it."""

USER = "\0user"
"""The label of a person who has no name in the items."""
ASSISTANT = "\0assistant"
"""The label of the digital human."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbours:
    """Adjacent rows; positions of rows, -1 for none."""

    previous: NDArray[np.int32]
    next: NDArray[np.int32]


def asked_speakers(query: str, labels: set[str]) -> set[str]:
    """Returns the labels of the speakers whose words a query asks for; empty if it names none."""
    text = normalised(query)
    named = {label for label in labels if _is_named(normalised(label), text)}
    if named:
        return named
    if asks_for_answers(query):
        return {ASSISTANT}
    return {USER} if _ASKED_ABOUT_THE_PERSON.search(text) else set()


def _is_named(label: str, text: str) -> bool:
    # Chinese has no spaces between words.
    before = "" if is_ideographic(label[:1] or " ") else r"(?<!\w)"
    return re.search(before + re.escape(label), text) is not None


def asks_for_answers(query: str) -> bool:
    """Returns whether a query asks for what the digital human said."""
    return _ASKED_WHAT_WAS_ANSWERED.search(normalised(query)) is not None


def with_surroundings(
    lexical: Scores,
    cosines: Scores | None,
    sessions: Scores,
    neighbours: Neighbours,
    weights: Weights = WEIGHTS,
) -> Scores:
    """Returns the relevance of each row, from its own scores and those of its surroundings.

    Args:
        lexical: Score of each row, 0 to 1.
        cosines: Cosine of each row, 0 to 1; None without vectors.
        sessions: The lexical score of each row's session, 0 to 1.
        neighbours: Neighbours of each row.
        weights: How much each of them counts.

    Returns:
        Shape [rows], 0 or more.
    """
    relevance = (
        blend(cosines, lexical, weights.lexical) + np.float32(weights.session_lexical) * sessions
    )
    before, behind = weights.previous_lexical * lexical, weights.next_lexical * lexical
    if cosines is not None:
        before += weights.previous_vector * cosines
        behind += weights.next_vector * cosines
    relevance += _at(before, neighbours.previous)
    relevance += _at(behind, neighbours.next)
    return np.asarray(relevance, dtype=np.float32)


def prior(
    lengths: NDArray[np.uint32],
    are_questions: NDArray[np.bool_],
    are_facts: NDArray[np.bool_],
    weights: Weights = WEIGHTS,
) -> Scores:
    """Returns the factor of each row's relevance that is independent of the query.

    Args:
        lengths: The number of tokens of each row.
        are_questions: Which rows are questions.
        are_facts: Which rows are facts; they are short by nature, so length does not count.
        weights: How much each of them counts.
    """
    length = np.where(are_facts, 1 + weights.fact, 1 + weights.length * np.log1p(lengths))
    question = 1 - weights.question * are_questions
    return np.asarray(length * question, dtype=np.float32)


def favour(
    asked: Sequence[int],
    speaker_of: NDArray[np.int32],
    speaker_count: int,
    weights: Weights = WEIGHTS,
) -> Scores:
    """Returns the factor of each row's relevance for its speaker.

    Args:
        asked: The numbers of the speakers that the query asks for.
        speaker_of: The number of the speaker of each row.
        speaker_count: The number of speakers.
        weights: How much the right speaker counts.
    """
    factors = np.ones(speaker_count, dtype=np.float32)
    factors[list(asked)] += np.float32(weights.speaker)
    return factors[speaker_of]


def _at(scores: Scores, positions: NDArray[np.int32]) -> Scores:
    # Position -1, for none, is the appended last element.
    return np.append(scores, np.float32(0))[positions]
