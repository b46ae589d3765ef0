"""The history of one session: the questions, and the heard part of the answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from anima.llm.v1 import llm_pb2 as llm
from gateway.turn.turn import TurnOutcome
from services.runtime.process.clock import unix_ms

_MAX_MESSAGES = 40


class History:
    """The messages of a session; the oldest ones are dropped.

    Args:
        earlier: The messages of an earlier session that this one continues, oldest first.
    """

    def __init__(self, earlier: Sequence[llm.Message] = ()) -> None:
        self._messages: deque[llm.Message] = deque(earlier, maxlen=_MAX_MESSAGES)

    def add(self, outcome: TurnOutcome) -> None:
        """Adds a question and the heard part of its answer.

        Only the pictures of the last question that showed any are kept, so that it can be asked
        about again.
        """
        if outcome.pictures:
            for message in self._messages:
                del message.pictures[:]
        said = {llm.ROLE_USER: outcome.question, llm.ROLE_ASSISTANT: outcome.heard_text}
        now_unix_ms = unix_ms()
        self._messages.extend(
            llm.Message(
                role=role,
                text=text,
                said_unix_ms=now_unix_ms,
                pictures=_pictures(outcome) if role == llm.ROLE_USER else (),
            )
            for role, text in said.items()
            if text or role == llm.ROLE_USER
        )

    def messages(self) -> list[llm.Message]:
        """Returns the messages, oldest first."""
        return list(self._messages)


def _pictures(outcome: TurnOutcome) -> list[llm.Picture]:
    return [llm.Picture(jpeg=jpeg) for jpeg in outcome.pictures]
