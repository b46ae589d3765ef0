"""The recall before an answer, and its result in the form that the language model accepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from anima.llm.v1 import llm_pb2 as llm
from anima.memory.v1 import memory_pb2 as memory
from gateway.turn.question import Question

_QUERY_CHARS: Final = 300
"""So much of both ends of a long question is searched for: a recall that reads 8,000 characters
takes three times as long, and on a busy machine longer than an answer can wait."""
_MAX_MEMORIES: Final = 5
_MAX_PASSAGES: Final = 3
_ROLES: Final = {
    memory.SPEAKER_USER: llm.ROLE_USER,
    memory.SPEAKER_ASSISTANT: llm.ROLE_ASSISTANT,
}
_MAX_SOURCE_CHARS: Final = 500
# Characters that would break the source line.
_PLAIN: Final = str.maketrans({"[": "(", "]": ")", "·": "-"})


def recall_request(question: Question) -> memory.RecallRequest:
    """Returns the request for memories of the person, their documents and shared ones."""
    return memory.RecallRequest(
        user_id=question.user_id,
        query=_query(question.text),
        max_items=_MAX_MEMORIES,
        exclude_session_id=question.session_id,
        persona=question.persona.name,
        max_passages=_MAX_PASSAGES,
    )


def _query(text: str) -> str:
    if len(text) <= 2 * _QUERY_CHARS:
        return text
    return f"{text[:_QUERY_CHARS]} … {text[-_QUERY_CHARS:]}"


def memories_of(recalled: memory.RecallResponse) -> Sequence[llm.Memory]:
    """Returns the result for the language model: memories first, then passages."""
    said = [
        llm.Memory(
            text=found.item.text,
            score=found.score,
            role=_ROLES.get(found.item.speaker, llm.ROLE_UNSPECIFIED),
            created_unix_ms=found.item.created_unix_ms,
        )
        for found in recalled.items
    ]
    return said + [_passage(found) for found in recalled.passages]


def _passage(found: memory.RecalledPassage) -> llm.Memory:
    """Returns a passage without a speaker; a line in brackets before it names the source."""
    citation = found.passage.citation
    parts = (citation.title, f"page {citation.page}" if citation.page else "", citation.heading)
    source = " · ".join(" ".join(part.translate(_PLAIN).split()) for part in parts if part)
    head = f"[{source[:_MAX_SOURCE_CHARS]}]\n" if source else ""
    return llm.Memory(text=f"{head}{found.passage.text}", score=found.score)
