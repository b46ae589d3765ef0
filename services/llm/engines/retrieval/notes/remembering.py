"""Answers to statements, and to the wish that something be forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from services.llm.engines.retrieval.notes.notebook import Notebook
from services.llm.engines.retrieval.phrasebook import Said
from text.facts.candidate import USER, Candidate, Denial
from text.facts.clauses import Clause, clauses
from text.facts.feedback import feedback
from text.facts.forgetting import Scope, is_consent, wish_to_forget
from text.facts.reality import Reality, opening
from text.facts.sentences import asks, states


def forgetting(heard: str, notebook: Notebook, said: Said, *, is_refused: bool) -> tuple[str, ...]:
    """Returns the answer to a wish to forget, or to the question whether it was meant.

    Args:
        heard: What the person said.
        notebook: The notes before it.
        said: The engine's phrases.
        is_refused: Whether the person said no.

    Returns:
        Variants of the answer; empty if it is about something else.
    """
    wish = wish_to_forget(heard)
    if wish is None:
        if not notebook.awaits_confirmation:
            return ()
        if is_consent(heard):
            return said.all_forgotten
        return said.nothing_forgotten if is_refused else ()
    if wish.scope is Scope.EVERYTHING and not wish.is_confirmed:
        return said.forget_all
    if not notebook.hear(heard):
        return said.nothing_to_forget
    return said.all_forgotten if wish.scope is Scope.EVERYTHING else said.forgotten


def statements(heard: str, cleaned: str, is_own: bool) -> list[Clause]:
    """Returns the clauses of a message that state something.

    Args:
        heard: What the person said.
        cleaned: The same as returned by `Phrasebook.clean`.
        is_own: Whether it has the form of a statement of the person about themself.
    """
    is_question = asks(cleaned)
    return [
        clause
        for clause in clauses(heard)
        if clause.findings
        or (not is_question and not asks(clause.text) and _is_statement(clause, is_own))
    ]


def _is_statement(clause: Clause, is_own: bool) -> bool:
    if opening(clause.text) is not Reality.OWN or states(clause.text):
        return True
    return is_own if clause.subject == USER else bool(clause.subject)


def acknowledgement(
    heard: str, stated: Sequence[Clause], said: Said
) -> tuple[tuple[str, ...], str]:
    """Returns variants of the answer to a statement, and the name in it; both may be empty."""
    on_the_answer = feedback(heard)
    if on_the_answer is not None:
        is_right = any(not isinstance(one, Denial) or one.right for one in on_the_answer)
        return (said.corrected if is_right else said.denied), ""
    if not stated:
        return (), ""
    findings = [finding for clause in stated for finding in clause.findings]
    for finding in findings:
        if isinstance(finding, Candidate) and (finding.subject, finding.attribute) == (
            USER,
            "name",
        ):
            return said.met, finding.value
    if all(clause.reality is not Reality.OWN for clause in stated):
        return said.heard, ""
    return said.noted, ""
