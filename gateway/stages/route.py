"""Where the calls of a session go, and what they tell the routers on their way."""

from __future__ import annotations

from typing import Final

from gateway.stages.spec import AnswerKind

SESSION: Final = "anima-session"
PERSONA: Final = "anima-persona"
ANSWERS: Final = "anima-answers"
REPLICA_KEY: Final = "anima-replica-key"
"""Calls with the same value of this header reach the same replica of a stage that keeps sessions,
as long as that replica is ready."""


class Route:
    """The way of one session through the mesh.

    A replica that has read a conversation answers its next question sooner, because it still has
    the conversation in its prefix cache. So all calls of a session to such a stage have the same
    key, until the replica is full or fails: then the session moves to another one and stays there.

    Args:
        session_id: The session.
        persona: The name of the persona that answers.
        answers: What an answer consists of; it decides how much work the stages have.
    """

    def __init__(self, *, session_id: str, persona: str, answers: AnswerKind) -> None:
        self._session_id = session_id
        self._moves = 0
        self._fixed = ((SESSION, session_id), (PERSONA, persona), (ANSWERS, answers.value))

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Returns the metadata of a call of the session."""
        return (*self._fixed, (REPLICA_KEY, f"{self._session_id}/{self._moves}"))

    def move(self) -> None:
        """Lets the session go to another replica of the stages that keep sessions."""
        self._moves += 1
