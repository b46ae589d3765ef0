"""What a turn leaves behind: history of the session, and memory of the person."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import grpc

from anima.llm.v1 import llm_pb2 as llm
from anima.memory.v1 import memory_pb2 as memory
from gateway import metrics
from gateway.stages.mesh import Mesh
from gateway.turn.turn import TurnOutcome
from services.runtime.errors import error_from_rpc
from services.runtime.logs import get_logger

_MAX_MESSAGES = 40
_MAX_ITEM_CHARS = 8000
_TIMEOUT_S = 4.0


class History:
    """What was said and heard in a session; the oldest messages fall out."""

    def __init__(self, earlier: Sequence[llm.Message] = ()) -> None:
        self._messages: deque[llm.Message] = deque(earlier, maxlen=_MAX_MESSAGES)

    def add(self, outcome: TurnOutcome) -> None:
        """Adds a question and what was heard of its answer."""
        self._messages.append(llm.Message(role=llm.ROLE_USER, text=outcome.question))
        if outcome.heard_text:
            self._messages.append(llm.Message(role=llm.ROLE_ASSISTANT, text=outcome.heard_text))

    def messages(self) -> list[llm.Message]:
        """Gives the messages, oldest first."""
        return list(self._messages)


async def remember(mesh: Mesh, *, user_id: str, session_id: str, outcome: TurnOutcome) -> None:
    """Stores a question and what was heard of its answer; a memory that is away is only logged.

    The ids of the items come from the turn, so that storing twice stores once.
    """
    now_unix_ms = time.time_ns() // 1_000_000
    said = (
        ("q", memory.SPEAKER_USER, outcome.question),
        # What a document says is not remembered as said: it goes when the document is removed.
        ("a", memory.SPEAKER_ASSISTANT, "" if outcome.quotes_document else outcome.heard_text),
    )
    items = [
        memory.Item(
            item_id=f"{outcome.turn_id}-{suffix}",
            kind=memory.ITEM_KIND_TURN,
            speaker=speaker,
            text=text[:_MAX_ITEM_CHARS],
            session_id=session_id,
            turn_id=outcome.turn_id,
            created_unix_ms=now_unix_ms + offset,
        )
        for offset, (suffix, speaker, text) in enumerate(said)
        if text
    ]
    request = memory.RememberRequest(user_id=user_id, items=items)
    try:
        await mesh.memory.Remember(request, timeout=_TIMEOUT_S, wait_for_ready=True)
    except grpc.aio.AioRpcError as error:
        metrics.STAGE_FAILURES.labels("memory").inc()
        get_logger().warning(
            "a turn was not remembered",
            turn_id=outcome.turn_id,
            problem=str(error_from_rpc(error)),
        )
