"""Splits what a person said into clauses, each with its subject, its reality and its facts."""

from collections.abc import Iterator
from dataclasses import dataclass

from text.facts import chinese, english
from text.facts.candidate import Finding
from text.facts.reality import Reality, is_joke, opening, reality
from text.facts.sentences import is_question, sentences
from text.languages import has_chinese


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """A clause of a statement."""

    text: str
    reality: Reality
    subject: str
    """`USER`, a relation such as "dog", or "" if it is about something else."""
    findings: tuple[Finding, ...]
    """Its facts; none unless it is the speaker's own word."""


def clauses(text: str, *, about: str = "") -> Iterator[Clause]:
    """Yields the clauses of all sentences of a text that are no questions.

    Args:
        text: The words of one turn.
        about: The relation that the words before were about, for "He is four".
    """
    joking = is_joke(text)
    for sentence in sentences(text):
        if is_question(sentence):
            continue
        reader = chinese if has_chinese(sentence) else english
        whole = opening(sentence)
        for said in reader.clauses(sentence):
            clause = reader.with_subject(said, about)
            own = Reality.UNREAL if joking else max(whole, reality(clause), key=_weight)
            subject = reader.subject_of(clause)
            about = subject or about
            yield Clause(
                text=clause,
                reality=own,
                subject=subject,
                findings=tuple(reader.read(clause)) if own is Reality.OWN else (),
            )


def _weight(one: Reality) -> int:
    return (Reality.OWN, Reality.REPORTED, Reality.UNREAL).index(one)
