"""Conversations with questions about them, in the format of LoCoMo (Maharana et al., 2024).

The file is passed by its path and not part of the repository: its licence forbids its use in a
product.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
_DATE = "%I:%M %p on %d %B, %Y"
_FIRST_PERSON = (
    (r"\b(did|does|do|can|could|will|would|should|had|might|may) {name}(?!\w|['’])", r"\1 I"),
    (r"\b(?:has|have) {name}(?!\w|['’])", "have I"),
    (r"\bis {name}(?!\w|['’])", "am I"),
    (r"\bwas {name}(?!\w|['’])", "was I"),
    (r"(?<!\w){name}['’]s(?!\w)", "my"),
    (r"(?<!\w){name}['’](?!\w)", "my"),
    (r"(?<!\w){name}(?= (?:has|have|had|is|was|did|does|likes?|went|got|made|took|said)\b)", "I"),
    (r"(?<!\w){name}(?!\w)", "me"),
)
"""Rules that put a question about a person into that person's mouth, in this order."""


@dataclass(frozen=True)
class Turn:
    turn_id: str
    session_id: str
    speaker: str
    text: str
    created_unix_ms: int
    by_assistant: bool = False

    @property
    def searched_text(self) -> str:
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


@dataclass(frozen=True)
class Question:
    text: str
    evidence: list[str]
    category: int


@dataclass(frozen=True)
class Conversation:
    turns: list[Turn]
    questions: list[Question]


def conversations(path: Path) -> Iterator[Conversation]:
    for entry in json.loads(path.read_text(encoding="utf-8")):
        turns = list(_turns_of(entry["conversation"]))
        ids = {turn.turn_id for turn in turns}
        questions = []
        for asked in entry["qa"]:
            evidence = _normalised_evidence(asked.get("evidence", []), ids)
            if evidence and asked["category"] in CATEGORIES:
                questions.append(Question(asked["question"], evidence, asked["category"]))
        yield Conversation(turns, questions)


def in_first_person(conversation: Conversation) -> Iterator[Conversation]:
    """Yields the conversation as each speaker would have it with a digital human.

    Nobody has a name, the other speaker is the digital human, and only the questions that name the
    speaker alone remain, with "I" and "my".
    """
    speakers = sorted({turn.speaker for turn in conversation.turns})
    for speaker in speakers:
        turns = [
            replace(turn, speaker="", by_assistant=turn.speaker != speaker)
            for turn in conversation.turns
        ]
        questions = [
            replace(question, text=_of_oneself(question.text, speaker))
            for question in conversation.questions
            if [name for name in speakers if _names(question.text, name)] == [speaker]
        ]
        yield Conversation(turns, questions)


def _names(question: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", question) is not None


def _of_oneself(question: str, name: str) -> str:
    for pattern, instead in _FIRST_PERSON:
        question = re.sub(pattern.format(name=re.escape(name)), instead, question)
    return question[:1].upper() + question[1:]


def _turns_of(conversation: dict[str, Any]) -> Iterator[Turn]:
    numbers = sorted(int(k.split("_")[1]) for k in conversation if re.fullmatch(r"session_\d+", k))
    for number in numbers:
        said = datetime.strptime(conversation[f"session_{number}_date_time"].title(), _DATE)
        created_unix_ms = int(said.replace(tzinfo=UTC).timestamp() * 1000)
        for turn in conversation[f"session_{number}"]:
            caption = f" [{turn['blip_caption']}]" if turn.get("blip_caption") else ""
            yield Turn(
                turn["dia_id"],
                f"s{number}",
                turn["speaker"],
                turn["text"] + caption,
                created_unix_ms,
            )


def _normalised_evidence(evidence: list[str], known: set[str]) -> list[str]:
    found = re.findall(r"D:?(\d+):(\d+)", " ".join(evidence))
    return [turn for turn in (f"D{int(s)}:{int(t)}" for s, t in found) if turn in known]
