"""Combines the scores of an item: its own words and meaning, its surroundings, and its kind.

All weights were tuned on one conversation in LoCoMo's format and hold on others; `bench/recall.py`
measures them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.hybrid import blend
from text.normal import normalised

Scores = NDArray[np.float32]

# The weight of the neighbours' scores: an answer is found by its question, and a short remark by
# its topic.
_PREVIOUS_LEXICAL = 0.25
_NEXT_LEXICAL = 0.2
_PREVIOUS_VECTOR = 0.1
_NEXT_VECTOR = 0.05
# The weight of the score of the whole session.
_SESSION_LEXICAL = 0.3
# Of two items that fit equally, the longer one is the better evidence; a question is seldom
# evidence of anything; and a question about oneself is answered by one's own words.
_LENGTH = 0.08
_QUESTION = 0.15
_SPEAKER = 0.4
_FACT = 0.4

_ASKED_WHAT_WAS_ANSWERED = re.compile(
    r"\b(?:you|your)\b.*\b(?:say|said|tell|told|explain\w*|recommend\w*|suggest\w*|promis\w*|mean)\b"
    r"|你.*(?:说过|告诉|推荐|建议|答应|讲)"
)
_ASKED_ABOUT_THE_PERSON = re.compile(
    r"\b(?:i|i'm|i've|i'd|i'll|me|my|mine|myself|we|our|us)\b|[我咱俺]"
)

FULL_RANK = 2.0
"""A rank that counts as a full score: the query's own words, said in a session about them."""

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
    named = {
        label for label in labels if re.search(rf"(?<!\w){re.escape(normalised(label))}", text)
    }
    if named:
        return named
    if asks_for_answers(query):
        return {ASSISTANT}
    return {USER} if _ASKED_ABOUT_THE_PERSON.search(text) else set()


def asks_for_answers(query: str) -> bool:
    """Returns whether a query asks for what the digital human said."""
    return _ASKED_WHAT_WAS_ANSWERED.search(normalised(query)) is not None


def with_surroundings(
    lexical: Scores, cosines: Scores | None, sessions: Scores, neighbours: Neighbours
) -> Scores:
    """Returns the relevance of each row, from its own scores and those of its surroundings.

    Args:
        lexical: Score of each row, 0 to 1.
        cosines: Cosine of each row, 0 to 1; None without vectors.
        sessions: The lexical score of each row's session, 0 to 1.
        neighbours: Neighbours of each row.

    Returns:
        Shape [rows], 0 or more.
    """
    relevance = blend(cosines, lexical) + np.float32(_SESSION_LEXICAL) * sessions
    before, behind = _PREVIOUS_LEXICAL * lexical, _NEXT_LEXICAL * lexical
    if cosines is not None:
        before += _PREVIOUS_VECTOR * cosines
        behind += _NEXT_VECTOR * cosines
    relevance += _at(before, neighbours.previous)
    relevance += _at(behind, neighbours.next)
    return np.asarray(relevance, dtype=np.float32)


def prior(
    lengths: NDArray[np.uint32],
    are_questions: NDArray[np.bool_],
    are_facts: NDArray[np.bool_],
) -> Scores:
    """Returns the factor of each row's relevance that is independent of the query.

    Args:
        lengths: The number of tokens of each row.
        are_questions: Which rows are questions.
        are_facts: Which rows are facts; they are short by nature, so length does not count.
    """
    length = np.where(are_facts, 1 + _FACT, 1 + _LENGTH * np.log1p(lengths))
    question = 1 - _QUESTION * are_questions
    return np.asarray(length * question, dtype=np.float32)


def favour(asked: Sequence[int], speaker_of: NDArray[np.int32], speaker_count: int) -> Scores:
    """Returns the factor of each row's relevance for its speaker.

    Args:
        asked: The numbers of the speakers that the query asks for.
        speaker_of: The number of the speaker of each row.
        speaker_count: The number of speakers.
    """
    factors = np.ones(speaker_count, dtype=np.float32)
    factors[list(asked)] += np.float32(_SPEAKER)
    return factors[speaker_of]


def _at(scores: Scores, positions: NDArray[np.int32]) -> Scores:
    # Position -1, for none, is the appended last element.
    return np.append(scores, np.float32(0))[positions]
