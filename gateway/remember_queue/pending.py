"""The turns of the queue in memory: one line per user, with a common bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from anima.memory.v1 import memory_pb2 as memory


@dataclass(eq=False, kw_only=True, slots=True)
class PendingTurn:
    """A turn that the memory has not confirmed.

    Attributes:
        user_id: The user of the turn.
        request: The request that is sent.
        created_unix_ms: When the turn was said, ms since 1970-01-01 UTC.
        said_ns: The same on the clock of `time.monotonic_ns`; None: it was said to another process.
        row: Its row on disk; 0: none.
        failed: Whether an attempt has failed.
        refusals: How often the memory has refused this turn.
        is_gone: True: it was delivered, dropped or erased, and needs no more work.
    """

    user_id: str
    request: memory.RememberRequest
    created_unix_ms: int
    said_ns: int | None = None
    row: int = 0
    failed: bool = False
    refusals: int = 0
    is_gone: bool = False


class PendingTurns:
    """The turns in the order of their arrival. Beyond a bound the oldest ones are dropped."""

    def __init__(self, *, max_turns: int, max_bytes: int) -> None:
        self._max_turns = max_turns
        self._max_bytes = max_bytes
        self._held: dict[PendingTurn, int] = {}
        self._size_bytes = 0
        self._lines: dict[str, deque[PendingTurn]] = {}
        self._aside: set[PendingTurn] = set()

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, turn: PendingTurn) -> bool:
        return turn in self._held

    @property
    def to_deliver(self) -> int:
        """The number of turns that wait for the memory, without those that are set aside."""
        return len(self._held) - len(self._aside)

    def hold(self, turn: PendingTurn) -> list[PendingTurn]:
        """Adds a turn, which cannot be delivered before `line_up`.

        Returns:
            The turns that were dropped for it; the turn itself, if it alone is larger than the
            queue.
        """
        size = turn.request.ByteSize()
        if size > self._max_bytes:
            turn.is_gone = True
            return [turn]
        self._held[turn] = size
        self._size_bytes += size
        dropped = []
        while len(self._held) > self._max_turns or self._size_bytes > self._max_bytes:
            dropped.append(next(iter(self._held)))
            self.remove(dropped[-1])
        return dropped

    def line_up(self, turn: PendingTurn) -> None:
        """Puts a held turn at the end of its user's line."""
        self._lines.setdefault(turn.user_id, deque()).append(turn)

    def first_of(self, user_id: str) -> PendingTurn | None:
        """Returns the next turn of a user to deliver; None: none waits."""
        line = self._lines.get(user_id)
        return line[0] if line else None

    def remove(self, turn: PendingTurn) -> None:
        """Removes a turn from the queue."""
        turn.is_gone = True
        self._size_bytes -= self._held.pop(turn)
        self._aside.discard(turn)
        self._leave_line(turn)

    def set_aside(self, turn: PendingTurn) -> None:
        """Removes a turn from its line; it is still held and counts towards the bounds."""
        self._aside.add(turn)
        self._leave_line(turn)

    def of(self, user_id: str) -> list[PendingTurn]:
        """Returns all held turns of a user, including those that are set aside."""
        return [turn for turn in self._held if turn.user_id == user_id]

    def take_out(self, turn: PendingTurn, item_ids: Collection[str]) -> bool:
        """Removes items from a turn, and the turn if none is left; returns whether it had any."""
        kept = [item for item in turn.request.items if item.item_id not in item_ids]
        if len(kept) == len(turn.request.items):
            return False
        if not kept:
            self.remove(turn)
            return True
        turn.request = memory.RememberRequest(
            user_id=turn.user_id, items=kept, said_unix_ns=turn.request.said_unix_ns
        )
        size = turn.request.ByteSize()
        self._size_bytes += size - self._held[turn]
        self._held[turn] = size
        return True

    def _leave_line(self, turn: PendingTurn) -> None:
        line = self._lines.get(turn.user_id)
        if line is not None and turn in line:
            line.remove(turn)
            if not line:
                del self._lines[turn.user_id]
