"""Answers from what the person told, in this session or an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from retrieval.topics import topic_of
from services.llm.engine import Source, SourceKind
from services.llm.engines.retrieval.notes.matching import covering, matching, told
from services.llm.engines.retrieval.notes.note import Note
from services.llm.engines.retrieval.notes.notebook import Notebook
from services.llm.engines.retrieval.phrasebook import Phrasebook, Said
from services.llm.engines.retrieval.reply import Reply, unsaid
from services.llm.prompt.prompt import Message
from text.facts.asked import Asked, asked, asks_for_all
from text.facts.sentences import asks
from text.facts.times import dated
from text.scripts import is_ideographic

# How much of a question about anything but the person a clause must cover.
_OTHER_FIT: Final = 0.75
_CERTAIN_FIT: Final = 0.8
_CERTAIN_WORDS: Final = 2
_MAX_TOLD: Final = 10
_MAX_NAME_CHARS: Final = 200


class Recollection:
    """Finds and phrases what was told, in one language."""

    def __init__(self, phrases: Phrasebook) -> None:
        self._phrases = phrases

    def personal(self, heard: str, cleaned: str, today: date) -> Asked | None:
        """Returns what a question asks about the person; None if it is no such question."""
        patterns = self._phrases.heard
        # "What did I do yesterday?" is answered by the date.
        question = asked(dated(heard, said=today, today=today))
        if asks_for_all(heard) or patterns.personal.search(cleaned):
            return question
        return question if question.attributes and asks(heard) else None

    def about_the_person(
        self,
        question: Asked,
        heard: str,
        notebook: Notebook,
        history: Sequence[Message],
        said: Said,
    ) -> Reply | None:
        """Answers a question about the person; returns None if nothing was told about it."""
        if asks_for_all(heard):
            return self._tell([(note, 1.0) for note in told(notebook.notes)], history, said)
        found = matching(notebook.notes, question)
        return self._tell([(note, note.score) for note in found], history, said)

    def about_anything(
        self,
        question: str,
        notebook: Notebook,
        history: Sequence[Message],
        said: Said,
        *,
        is_certain: bool = False,
    ) -> Reply | None:
        """Answers a question about anything else; returns None if nothing matches.

        Args:
            question: What the person said.
            notebook: The notes before it.
            history: The conversation.
            said: The engine's phrases.
            is_certain: Only if most of several words of the question are covered.
        """
        has_a_place = self._phrases.heard.when_or_where.search(question.lower()) is not None
        if is_certain and len(topic_of(question)) < (1 if has_a_place else _CERTAIN_WORDS):
            return None
        enough = _CERTAIN_FIT if is_certain else _OTHER_FIT
        found = [pair for pair in covering(notebook.notes, question)[:1] if pair[1] >= enough]
        return self._tell(found, history, said)

    def _tell(
        self, found: Sequence[tuple[Note, float]], history: Sequence[Message], said: Said
    ) -> Reply | None:
        if not found:
            return None
        best = found[0][0]
        if best.by_engine:
            first, rest = unsaid(said.i_told_you, history).format(text=_as_clause(best.text)), []
        else:
            clauses = list(dict.fromkeys(self._addressed(note) for note, _ in found[:_MAX_TOLD]))
            first = unsaid(said.you_told_me, history).format(text=_as_clause(clauses[0]))
            rest = [_without_stop(_as_clause(clause)) for clause in clauses[1:]]
        text = first
        if rest:
            also = said.also.format(text=_as_clause(said.joined.join(rest)))
            text += ("" if _ends_wide(first) else " ") + also
        return Reply(
            text=text, sources=tuple(_source(note, fit) for note, fit in found[:_MAX_TOLD])
        )

    def _addressed(self, note: Note) -> str:
        return self._phrases.in_second_person(" ".join(note.text.split()))


def _source(note: Note, fit: float) -> Source:
    kind = SourceKind.HISTORY if note.in_session else SourceKind.MEMORY
    return Source(kind=kind, name=note.source[:_MAX_NAME_CHARS], score=min(fit, 1.0))


def _as_clause(text: str) -> str:
    """Returns a sentence in the form it has after a colon, with a full stop."""
    first = text.split(" ", 1)[0]
    if first.lower() in {"my", "your", "you", "you're", "you've", "the", "a", "an", "we", "our"}:
        text = text[:1].lower() + text[1:]
    if text[-1:] in ".!?。！？":
        return text
    return text + ("。" if is_ideographic(text[-1:]) else ".")


def _without_stop(text: str) -> str:
    return text.rstrip(".。")


def _ends_wide(text: str) -> bool:
    return text[-1:] in "。！？"
