"""Splits what a person said into clauses, each with its subject, its reality and its facts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from text.facts import chinese, english
from text.facts.candidate import USER, Candidate, Finding
from text.facts.reality import Reality, is_joke, opening, reality
from text.facts.sentences import asks, is_question, sentences
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
    about: str
    """Whom a pronoun after it means."""


def clauses(text: str, *, about: str = "") -> Iterator[Clause]:
    """Yields the clauses of all sentences of a text that are no questions.

    Args:
        text: The words of one turn.
        about: The relation that the words before were about, for "He is four".
    """
    joking = is_joke(text)
    for sentence in sentences(text):
        is_chinese = has_chinese(sentence)
        if is_question(sentence) or (is_chinese and asks(sentence)):
            continue
        reader = chinese if is_chinese else english
        whole = opening(sentence)
        for said in reader.clauses(sentence):
            clause = reader.with_subject(said, about)
            own = Reality.UNREAL if joking else max(whole, reality(clause), key=_weight)
            subject = reader.subject_of(clause)
            found = tuple(reader.read(clause)) if own is Reality.OWN else ()
            about = _introduced(found) or subject or about
            yield Clause(text=clause, reality=own, subject=subject, findings=found, about=about)


def _introduced(findings: Sequence[Finding]) -> str:
    """Returns the relation that facts are about: "I have a brother called Tim"."""
    relations = [one.subject for one in findings if isinstance(one, Candidate)]
    return next((one for one in reversed(relations) if one != USER), "")


def _weight(one: Reality) -> int:
    return (Reality.OWN, Reality.REPORTED, Reality.UNREAL).index(one)
