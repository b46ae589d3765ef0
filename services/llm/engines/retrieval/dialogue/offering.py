"""The answer if nothing is known, with a question that the persona can answer."""

from __future__ import annotations

from typing import Final

from retrieval.topics import topic_of
from services.llm.engines.retrieval.reply import Reply
from services.llm.engines.retrieval.turn import Turn
from services.llm.persona.profile import Profile
from services.llm.speech.words import count_words

_MAX_OFFERED_WORDS: Final = 20
# The part of a corpus whose questions are never offered.
_SMALL_TALK: Final = "smalltalk"


def unknown(turn: Turn, profile: Profile, *, least_fit: float) -> Reply:
    """Says that nothing is known, and offers a question that was not offered before.

    Args:
        turn: The question.
        profile: The persona.
        least_fit: How well an entry must match to be what was perhaps meant.
    """
    if question := _meant(turn, least_fit):
        return Reply(text=turn.say(turn.said.did_you_mean, question=question))
    language = turn.prompt.language
    text = turn.say(profile.unknown.get(language) or turn.said.unknown)
    suggestions = profile.suggestions.get(language, ())
    question = next((one for one in suggestions if not turn.talk.was_said(one)), "")
    if not question:
        return Reply(text=text)
    offer = turn.say(turn.said.suggest, question=question)
    return Reply(text=text + ("" if text[-1] in "。！？" else " ") + offer)


def _meant(turn: Turn, least_fit: float) -> str:
    """Returns the question that was perhaps meant; empty if none is near enough."""
    best = turn.matches[0] if turn.matches else None
    if best is None or best.fit < least_fit or best.entry.topic == _SMALL_TALK:
        return ""
    question = best.entry.wordings[turn.prompt.language].questions[0]
    if count_words(question) > _MAX_OFFERED_WORDS or turn.talk.was_said(question):
        return ""
    return question if topic_of(turn.heard) & topic_of(question) else ""
