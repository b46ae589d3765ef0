from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.llm.engines.retrieval.answerer import Answerer
from services.llm.engines.retrieval.reply import Reply
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Memory, Message, Prompt, Role, build_prompt
from text.languages import language_of


def prompt_for(
    persona: Persona,
    question: str,
    *,
    language: str = "",
    history: Sequence[Message] = (),
    memories: Sequence[Memory] = (),
    max_words: int = 0,
    word_interval_ms: int | None = 0,
) -> Prompt:
    return build_prompt(
        turn_id="t",
        persona=persona,
        language=language or language_of(question, persona.profile.languages),
        question=question,
        history=history,
        memories=memories,
        max_words=max_words,
        word_interval_ms=word_interval_ms,
    )


def memory(text: str, *, role: Role = Role.USER) -> Memory:
    return Memory(text=text, score=0.6, role=role, created_unix_ms=0)


class Talk:
    """A conversation that goes on from question to question."""

    def __init__(self, persona: Persona, answerer: Answerer, now: datetime | None = None) -> None:
        self.persona = persona
        self._now = now
        self._answerer = answerer
        self.history: list[Message] = []
        self.memories: list[Memory] = []

    def ask(self, question: str, *, language: str = "") -> Reply:
        prompt = prompt_for(
            self.persona,
            question,
            language=language,
            history=self.history,
            memories=self.memories,
        )
        if self._now is not None:
            prompt = replace(prompt, now=self._now)
        reply = self._answerer.reply(prompt)
        self.history.append(Message(role=Role.USER, text=question))
        self.history.append(Message(role=Role.ASSISTANT, text=reply.text))
        return reply
