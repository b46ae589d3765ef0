"""What a turn leaves behind for the memory of the person."""

from __future__ import annotations

import time

import grpc

from anima.memory.v1 import memory_pb2 as memory
from gateway import metrics
from gateway.stages.mesh import Mesh
from gateway.turn.turn import TurnOutcome
from services.runtime.errors import error_from_rpc
from services.runtime.logs import get_logger

_MAX_ITEM_CHARS = 8000
_TIMEOUT_S = 4.0


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
