"""Conversations of first visitors, judged by exact rules: see first_visits/en.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.llm.engine import SourceKind
from services.llm.engines.retrieval.answerer import Answerer
from services.llm.engines.retrieval.reply import Reply
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Memory, Message, Role
from tests.figures import report
from tests.unit.llm.talk import Talk

FILES = Path(__file__).parent / "first_visits"
NOW = datetime(2026, 11, 30, 10, 15, tzinfo=ZoneInfo("Europe/Berlin"))


@dataclass(frozen=True)
class Judge:
    """The rules of one language."""

    language: str
    persona: Persona
    words: dict[str, list[str]]
    offered: list[str] = field(default_factory=list)

    def fault(self, rule: str, words: Sequence[str], reply: Reply, rest: str) -> str:
        """Returns what is wrong with a reply; empty if it is right."""
        text = reply.text.lower()
        kinds = {source.kind for source in reply.sources}
        is_unknown = self._has(text, "unknown")
        offer = self._offer(reply.text)
        if offer and (offer in self.offered or self._is_small_talk(offer)):
            return f"offers {offer!r}"
        if offer:
            self.offered.append(offer)
        match rule:
            case "unknown":
                if not is_unknown or reply.sources:
                    return "pretends to know"
            case "rest":
                if not reply.text.endswith(rest[-20:]) or reply.text == rest:
                    return "does not go on where it stopped"
            case "corpus":
                entries = words[0].split("|")
                return "" if any(one.name in entries for one in reply.sources) else "wrong entry"
            case _:
                if is_unknown or offer:
                    return "does not know"
        if rule == "noted" and kinds & {SourceKind.CORPUS, SourceKind.DOCUMENT}:
            return "is answered, not acknowledged"
        told = "forgotten"
        if rule == "done" and (not self._has(text, told) or self._has(text, "not_forgotten")):
            return "does not forget"
        if rule == "kept" and not self._has(text, "not_forgotten"):
            return "does not say that nothing was forgotten"
        if rule == "ask" and not (self._has(text, "everything") and text.rstrip()[-1] in "?？"):
            return "does not ask"
        return self._words_fault(text, words)

    def _words_fault(self, text: str, words: Sequence[str]) -> str:
        for word in words:
            if word.startswith("!"):
                if _stands_in(word[1:], text):
                    return f"says {word[1:]!r}"
            elif not any(_stands_in(one, text) for one in word.split("|")):
                return f"lacks {word!r}"
        return ""

    def _has(self, text: str, kind: str) -> bool:
        return any(phrase in text for phrase in self.words[kind])

    def _offer(self, text: str) -> str:
        for frame in self.words["offers"]:
            if frame in text:
                return text.partition(frame)[2].strip()
        return ""

    def _is_small_talk(self, offer: str) -> bool:
        return any(
            entry.topic == "smalltalk" and offer in entry.wordings[self.language].questions
            for entry in self.persona.entries
        )


def _stands_in(word: str, text: str) -> bool:
    word = word.lower()
    if not word.isascii():
        return word in text
    # Between Chinese characters a number stands alone.
    return re.search(rf"(?<![\w-]){re.escape(word)}(?!\w)", text, re.ASCII) is not None


def _memories(rows: Sequence[tuple[int, str]]) -> list[Memory]:
    return [
        Memory(
            text=text,
            score=0.6,
            role=Role.USER,
            created_unix_ms=int((NOW - timedelta(days=days)).timestamp() * 1000),
        )
        for days, text in rows
    ]


def _judged(answerer: Answerer, persona: Persona, language: str) -> tuple[int, list[str]]:
    """Returns the number of turns and the faults."""
    document: dict[str, Any] = tomllib.loads((FILES / f"{language}.toml").read_text("utf-8"))
    words = {key: value for key, value in document.items() if key != "talk"}
    faults: list[str] = []
    count = 0
    for table in document["talk"]:
        judge = Judge(language, persona, words)
        talk = Talk(persona, answerer, now=NOW)
        talk.memories = _memories(table.get("memories", []))
        whole = ""
        for say, rule, *expected in table["turns"]:
            count += 1
            heard = [word.removeprefix("heard=") for word in expected if word.startswith("heard=")]
            plain = [word for word in expected if not word.startswith("heard=")]
            reply = talk.ask(say)
            if fault := judge.fault(rule, plain, reply, whole):
                faults.append(f"{say} -> {reply.text} [{fault}]")
            if heard:
                whole = reply.text
                talk.history[-1] = Message(role=Role.ASSISTANT, text=whole[: int(heard[0])])
    return count, faults


@pytest.mark.parametrize("language", ["en", "zh"])
def test_first_visitors_are_answered_right(
    by_meaning: Answerer, by_words: Answerer, anima: Persona, language: str
) -> None:
    answerer = by_meaning if language == "en" else by_words
    count, faults = _judged(answerer, anima, language)
    right = count - len(faults)
    report(f"first visits {language}: {right} of {count} turns right ({right / count:.1%})")
    assert count >= 150
    assert right >= 0.95 * count, faults
