"""What the person has told: in this session, and in earlier ones as far as it was recalled.

The notebook is written again for each question, from the memories and the history of its prompt. It
reads them with the rules by which the memory service extracts facts, so a fact is known as soon as
it was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Final

from services.llm.engines.retrieval.notes.matching import named
from services.llm.engines.retrieval.notes.note import Note
from services.llm.prompt.prompt import Memory, Message, Role
from text.facts.candidate import OPPOSITES, USER, Candidate, Denial, Ending, Replacement, key_of
from text.facts.clauses import Clause, clauses
from text.facts.feedback import feedback
from text.facts.forgetting import Scope, Wish, is_consent, wish_to_forget
from text.facts.names import names_of, statement_about
from text.facts.reality import Reality
from text.facts.sentences import asks, states
from text.facts.times import dated
from text.normal import normalised

_NAME: Final = "name"


class Notebook:
    """The notes of one question.

    Args:
        memories: The recalled memories.
        history: The conversation before the question.
        now: The time of the question, in the person's time zone.
    """

    def __init__(
        self, memories: Sequence[Memory], history: Sequence[Message], now: datetime
    ) -> None:
        self._now = now
        self.notes: list[Note] = []
        self._turn = 0
        self._answer = ""
        self._about = ""
        self._unconfirmed: Wish | None = None
        for memory in sorted(memories, key=lambda one: one.created_unix_ms):
            if memory.citation is None:
                self._recall(memory)
        self._about = ""
        for message in history:
            if message.role is Role.ASSISTANT:
                self._answer = message.text
            else:
                self.hear(message.text, said=self._day_of(message.said_unix_ms))

    @property
    def names(self) -> dict[str, str]:
        """The relation of each name that was told."""
        return names_of(note.fact for note in self.notes if note.fact)

    @property
    def awaits_confirmation(self) -> bool:
        """Whether the last message wished that everything be forgotten."""
        return self._unconfirmed is not None

    def hear(self, text: str, said: date | None = None) -> int:
        """Takes the words of a turn of this session; returns how many notes it changed.

        Args:
            text: The words.
            said: The day on which they were said; None: today.
        """
        self._turn += 1
        day = said or self._now.date()
        wish = wish_to_forget(text)
        unconfirmed, self._unconfirmed = self._unconfirmed, None
        if wish is not None and wish.scope is Scope.EVERYTHING and not wish.is_confirmed:
            self._unconfirmed = wish
            return 0
        if wish is None and unconfirmed is not None and is_consent(text):
            wish = unconfirmed
        if wish is not None:
            return self._forget(wish)
        on_the_answer = feedback(text)
        if on_the_answer is None:
            found = clauses(statement_about(text, self.names), about=self._about)
            return sum(self._write(one, text, said=day) for one in found)
        changed = 0
        for finding in on_the_answer:
            if isinstance(finding, Denial):
                changed += self._deny(finding)
            elif isinstance(finding, Candidate):
                self._add_fact(finding, self._note(finding.text, text, said=day))
                changed += 1
        return changed

    def _day_of(self, unix_ms: int) -> date:
        if not unix_ms:
            return self._now.date()
        return datetime.fromtimestamp(unix_ms / 1000, self._now.tzinfo).date()

    def _recall(self, memory: Memory) -> None:
        self._turn += 1
        said = self._day_of(memory.created_unix_ms)
        if memory.role is Role.ASSISTANT:
            if not asks(memory.text):
                note = self._note(memory.text, memory.text, said=said)
                self.notes.append(
                    replace(note, by_engine=True, score=memory.score, in_session=False)
                )
            return
        if wish_to_forget(memory.text) is None and feedback(memory.text) is None:
            for clause in clauses(memory.text):
                self._write(clause, memory.text, said=said, score=memory.score, in_session=False)

    def _write(
        self,
        clause: Clause,
        source: str,
        *,
        said: date,
        score: float = 1.0,
        in_session: bool = True,
    ) -> int:
        """Notes a clause and its facts; returns how many notes that makes."""
        known = len(self.notes)
        self._about = clause.about
        if not clause.findings and (
            asks(clause.text) or not (clause.subject or states(clause.text))
        ):
            return 0
        note = replace(
            self._note(clause.text, source, said=said),
            subject=clause.subject,
            reality=clause.reality,
            score=score,
            in_session=in_session,
        )
        # What is no longer so is not told.
        if not any(isinstance(finding, Ending) for finding in clause.findings):
            self.notes.append(note)
        for finding in clause.findings:
            if isinstance(finding, Candidate):
                self._add_fact(finding, note)
            elif isinstance(finding, Ending):
                self._drop(self._ended_by(finding))
            elif isinstance(finding, Replacement):
                for old in [one for one in self.notes if _says(one, finding.old)]:
                    self._correct(old, finding.new)
        return max(1, len(self.notes) - known)

    def _note(self, clause: str, source: str, *, said: date) -> Note:
        return Note(
            text=dated(clause, said=said, today=self._now.date()),
            clause=clause,
            subject="",
            reality=Reality.OWN,
            turn=self._turn,
            source=source,
        )

    def _add_fact(self, fact: Candidate, of: Note) -> None:
        replaced = [one for one in self.notes if one.fact and self._replaces(fact, one, one.fact)]
        self._drop(replaced)
        self.notes.append(replace(of, text=_sentence(fact.text), subject=fact.subject, fact=fact))

    def _replaces(self, new: Candidate, note: Note, known: Candidate) -> bool:
        """Whether a fact takes the place of a known one."""
        if known.subject != new.subject:
            return False
        same_value = known.value_key == new.value_key
        if known.attribute != new.attribute:
            return same_value and OPPOSITES.get(new.attribute) == known.attribute
        if known.attribute == _NAME:
            # One cat at a time, unless both names were told in one breath.
            return note.turn != self._turn
        return same_value or new.is_single_valued

    def _ended_by(self, ending: Ending) -> list[Note]:
        return [
            note
            for note in self.notes
            if note.fact
            and note.fact.subject == USER
            and note.fact.attribute == ending.attribute
            and (not ending.value or _says(note, ending.value))
        ]

    def _deny(self, denial: Denial) -> int:
        """Takes back or corrects what the last answer said, or else the person just before."""
        meant = [note for note in self.notes if note.fact and _value_in(note, self._answer)]
        if not meant and (denial.right or denial.also_told):
            meant = [one for one in self.notes if one.fact and one.turn == self._turn - 1]
        if not denial.right:
            return self._drop(meant)
        if len(meant) != 1:  # with several it is unknown which one is meant
            return 0
        self._correct(meant[0], denial.right)
        return 1

    def _correct(self, wrong: Note, value: str) -> None:
        if wrong.fact is None:
            return
        fact = replace(
            wrong.fact, value=value, text=wrong.fact.text.replace(wrong.fact.value, value)
        )
        self._drop([wrong])
        self.notes.append(replace(wrong, text=fact.text, clause=fact.text, fact=fact))

    def _forget(self, wish: Wish) -> int:
        if wish.scope is Scope.EVERYTHING:
            count, self.notes = len(self.notes), []
            return max(1, count)
        if wish.scope is Scope.LAST:
            last = [note for note in self.notes if note.turn == self._turn - 1]
            return self._drop(
                last or [note for note in self.notes if _value_in(note, self._answer)]
            )
        return self._drop([note for one in wish.about for note in named(self.notes, one)])

    def _drop(self, gone: Sequence[Note]) -> int:
        """Removes notes, with the clauses that say the same."""
        said = {(note.turn, note.clause) for note in gone}
        self.notes = [note for note in self.notes if (note.turn, note.clause) not in said]
        return len(gone)


def _says(note: Note, value: str) -> bool:
    return note.fact is not None and note.fact.value_key == key_of(value)


def _value_in(note: Note, text: str) -> bool:
    return note.fact is not None and note.fact.value_key in normalised(text)


def _sentence(text: str) -> str:
    return text.rstrip(".。")
