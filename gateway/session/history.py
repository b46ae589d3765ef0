"""The history of one session: the questions, and the heard part of the answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from anima.llm.v1 import llm_pb2 as llm
from gateway.turn.turn import TurnOutcome

_MAX_MESSAGES = 40


class History:
    """The messages of a session; the oldest ones are dropped.

    Args:
        earlier: The messages of an earlier session that this one continues, oldest first.
    """

    def __init__(self, earlier: Sequence[llm.Message] = ()) -> None:
        self._messages: deque[llm.Message] = deque(earlier, maxlen=_MAX_MESSAGES)

    def add(self, outcome: TurnOutcome) -> None:
        """Adds a question and the heard part of its answer."""
        self._messages.append(llm.Message(role=llm.ROLE_USER, text=outcome.question))
        if outcome.heard_text:
            self._messages.append(llm.Message(role=llm.ROLE_ASSISTANT, text=outcome.heard_text))

    def messages(self) -> list[llm.Message]:
        """Returns the messages, oldest first."""
        return list(self._messages)
