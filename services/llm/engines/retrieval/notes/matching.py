"""Finds the notes that answer a question about the person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from retrieval.topics import covered, topic_of
from services.llm.engines.retrieval.notes.note import Note
from text.facts.asked import Asked
from text.facts.candidate import USER
from text.facts.reality import Reality

# How much of a question without a known attribute a clause must cover.
_ENOUGH: Final = 0.5


def matching(notes: Sequence[Note], asked: Asked) -> list[Note]:
    """Returns the notes that answer a question about the person, best first.

    Facts come first, because what they mean is known. Clauses that no rule reads as a fact answer
    if they are the person's own and share the topic of the question.
    """
    topic = topic_of(asked.words)
    facts = _facts(notes, asked, topic)
    return facts or _clauses(notes, asked, topic)


def named(notes: Sequence[Note], asked: Asked) -> list[Note]:
    """Returns all notes that a wish to forget names."""
    topic = topic_of(asked.words)
    whole = [
        note
        for note in notes
        if not asked.attributes and note.subject and covered(topic, note.text) == 1.0
    ]
    return whole or _facts(notes, asked, topic) or _clauses(notes, asked, topic)


def told(notes: Sequence[Note]) -> list[Note]:
    """Returns all that the person told of themself: the facts, then the other clauses."""
    facts = [note for note in notes if note.fact]
    said = {(note.turn, note.clause) for note in facts}
    return facts + [
        note
        for note in notes
        if note.fact is None
        and note.reality is Reality.OWN
        and note.subject
        and not note.by_engine
        and (note.turn, note.clause) not in said
    ]


def covering(notes: Sequence[Note], words: str) -> list[tuple[Note, float]]:
    """Returns the clauses that cover a question about anything else, best first."""
    topic = topic_of(words)
    rated = [
        (note, covered(topic, note.text))
        for note in notes
        if note.fact is None and note.reality is not Reality.UNREAL
    ]
    return sorted((pair for pair in rated if pair[1] > 0), key=lambda pair: -pair[1])


def _facts(notes: Sequence[Note], asked: Asked, topic: frozenset[str]) -> list[Note]:
    facts = [note for note in notes if note.fact is not None and asked.covers(note.fact)]
    named = [note for note in facts if covered(topic, note.text)]
    if not named and asked.is_yes_no and topic:
        return []
    found = named or facts
    for attribute in asked.attributes:
        if of_it := [note for note in found if note.fact and note.fact.attribute == attribute]:
            return of_it
    return []


def _clauses(notes: Sequence[Note], asked: Asked, topic: frozenset[str]) -> list[Note]:
    stated = topic_of(asked.stated)
    if asked.attributes and not asked.is_yes_no:
        # Of "Where do I work?" only the attribute is left: a clause has to name it.
        topic = frozenset()
    rated = [
        (_rate(topic, stated, note), note.turn, note)
        for note in notes
        if note.fact is None and note.reality is Reality.OWN and _may_answer(note, asked)
    ]
    best = max((rate for rate, _, _ in rated), default=0.0)
    if best < _ENOUGH:
        return []
    return [note for rate, _, note in rated if rate == best][-1:]


def _rate(topic: frozenset[str], stated: frozenset[str], note: Note) -> float:
    """Returns how well a clause answers: by the topic, or by a word that states an attribute."""
    return covered(topic, note.text) if topic else float(covered(stated, note.text) > 0)


def _may_answer(note: Note, asked: Asked) -> bool:
    """Whether a clause is about the one who is asked about: "I", not "He" or "My brother"."""
    if note.by_engine:
        return not asked.attributes
    if asked.attributes:
        return note.subject == asked.subject
    return note.subject != "" or asked.subject != USER
