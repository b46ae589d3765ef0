"""Builds the request that stores a turn in the memory."""

from __future__ import annotations

from anima.memory.v1 import memory_pb2 as memory
from gateway.turn.turn import TurnOutcome
from services.runtime.process.clock import unix_ms

_MAX_ITEM_CHARS = 8000


def request_of(outcome: TurnOutcome, *, user_id: str, session_id: str) -> memory.RememberRequest:
    """Returns a request that stores a question and the heard part of its answer.

    The ids of the items come from the turn, so that storing a turn twice has no effect.
    """
    now_unix_ms = unix_ms()
    said = (
        ("q", memory.SPEAKER_USER, outcome.question),
        # Quotes from a document are not remembered, so that they disappear with the document.
        ("a", memory.SPEAKER_ASSISTANT, "" if outcome.quotes_document else outcome.heard_text),
    )
    items = [
        memory.Item(
            item_id=f"{outcome.turn_id}-{suffix}",
            kind=memory.ITEM_KIND_TURN,
            speaker=speaker,
            text=text,
            session_id=session_id,
            turn_id=outcome.turn_id,
            created_unix_ms=now_unix_ms + offset,
        )
        for offset, (suffix, speaker, said_text) in enumerate(said)
        # The text of a model may contain anything; the memory rejects a text with NUL.
        if (text := said_text.replace("\0", "")[:_MAX_ITEM_CHARS]).strip()
    ]
    return memory.RememberRequest(user_id=user_id, items=items)
