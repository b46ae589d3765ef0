"""Chooses a persona's answer from its corpus, memory, history and documents."""

from __future__ import annotations

from services.llm.engines.retrieval.listener import Listener
from services.llm.engines.retrieval.matching.tuning import Encoders
from services.llm.engines.retrieval.reply import Reply
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Prompt
from text.languages import language_of


class Answerer:
    """One persona. Thread-safe because it is immutable."""

    def __init__(self, persona: Persona, encoders: Encoders) -> None:
        """Indexes the persona; with encoders this takes a second per 300 phrasings."""
        self._languages = persona.profile.languages
        self._listeners = {
            language: Listener(persona, language, encoders) for language in self._languages
        }

    def reply(self, prompt: Prompt) -> Reply:
        """Answers a question in `prompt.language`, whatever language it is asked in."""
        asked_in = language_of(prompt.question, self._languages)
        return self._listeners[asked_in].reply(prompt)
