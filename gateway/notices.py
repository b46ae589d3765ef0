"""Notices for people, in their language, when a stage is down or nothing was understood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.wording.book import BOOKS, DEFAULT, Notices, StageWording, book_for
from text.languages import is_spaced, language_of, primary

_MOST_NAMED: Final = 5
"""So many languages are named; a recogniser may know a hundred."""


def language_for(question: str, *, chosen: str, spoken: str) -> str:
    """Returns the language of notices for the person who asked a question.

    Args:
        question: The question.
        chosen: The language chosen for the conversation, BCP-47; empty: the language of each
            question.
        spoken: The language of speech recognition.
    """
    return chosen or language_of(question, (spoken, *BOOKS))


def stage_failed(stage: str, language: str, turn_id: str) -> pb.Notice:
    """Returns the notice that a stage failed and the answer could not be finished."""
    words = _words(language)
    text = words.failed.format(part=_stage(words, stage).part)
    return pb.Notice(kind=pb.NOTICE_KIND_STAGE_FAILED, stage=stage, text=text, turn_id=turn_id)


def degraded(stage: str, language: str, turn_id: str = "") -> pb.Notice:
    """Returns the notice that the conversation goes on without a stage that is busy or down."""
    words = _words(language)
    own = _stage(words, stage)
    text = own.degraded or words.degraded.format(part=own.part)
    return pb.Notice(kind=pb.NOTICE_KIND_DEGRADED, stage=stage, text=text, turn_id=turn_id)


def memory_full(language: str, turn_id: str) -> pb.Notice:
    """Returns the notice that nothing of the conversation can be remembered."""
    text = _stage(_words(language), "memory").full
    return pb.Notice(
        kind=pb.NOTICE_KIND_DEGRADED,
        stage="memory",
        text=text or degraded("memory", language).text,
        turn_id=turn_id,
    )


def apology(language: str) -> str:
    """Returns the apology that is spoken when an answer cannot be finished."""
    return _words(language).apology


def not_understood(language: str) -> pb.Notice:
    """Returns the notice that nothing was understood."""
    text = _words(language).not_understood
    return pb.Notice(kind=pb.NOTICE_KIND_NOT_UNDERSTOOD, stage="asr", text=text)


def language_not_heard(
    language: str, remedy: str, *, spoken: str = "", known: Sequence[str] = ()
) -> pb.Notice:
    """Returns the notice that speech in the language of the session is not understood.

    Args:
        language: BCP-47 language of the notice.
        remedy: What the operator can do about it; empty: nothing is known.
        spoken: The language that is not understood; empty: that of the notice.
        known: Languages that are; the first ones are named.
    """
    words = _words(language)
    text = words.language_not_heard.format(language=_name_of(spoken or language, words))
    if known:
        names = words.between.join(_name_of(tag, words) for tag in known[:_MOST_NAMED])
        text += (" " if is_spaced(language) else "") + words.heard_instead.format(known=names)
    if remedy:
        text = words.with_remedy.format(text=text, remedy=remedy)
    return pb.Notice(kind=pb.NOTICE_KIND_LANGUAGE_NOT_HEARD, stage="asr", text=text)


def _name_of(tag: str, words: Notices) -> str:
    return words.languages.get(primary(tag), tag)


def going_away(language: str) -> pb.Notice:
    """Returns the notice that the gateway is shutting down."""
    return pb.Notice(kind=pb.NOTICE_KIND_GOING_AWAY, text=_words(language).going_away)


def _words(language: str) -> Notices:
    return (book_for(language) or BOOKS[DEFAULT]).notices


def _stage(words: Notices, stage: str) -> StageWording:
    return words.stages.get(stage) or StageWording(part=words.part)
