"""The slots of the model: each answer gets one, preferably the one that knows the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.llm.prompt.prompt import Prompt


@dataclass
class Slot:
    """A place in the model that holds keys and values of its last prompt.

    Attributes:
        number: Its number in the model.
        user_id: Who asked last; empty: unknown.
        texts: The history and the question of the last prompt.
        used: When it was last used, as a count; 0: never.
        busy: Whether an answer is being written in it.
    """

    number: int
    user_id: str = ""
    texts: tuple[str, ...] = ()
    used: int = 0
    busy: bool = False

    def knows(self, prompt: Prompt) -> bool:
        """Whether what it holds was said in the same conversation, or by the same user.

        The time to the first word reveals what a slot holds (CVE-2025-46570), so a slot of others
        is emptied first. A caller without a user id proves that a conversation is its own by
        its history, which repeats it.
        """
        if not self.used:
            return False
        if prompt.user_id or self.user_id:
            return prompt.user_id == self.user_id
        return bool(prompt.history) and _texts(prompt)[: len(self.texts)] in (
            self.texts,
            (*self.texts[:-1], prompt.question),
        )


class Slots:
    """The slots of one model.

    Args:
        count: How many there are.
    """

    def __init__(self, count: int) -> None:
        self._slots = [Slot(number) for number in range(count)]
        self._free = asyncio.Semaphore(count)
        self._uses = 0

    @asynccontextmanager
    async def use(self, prompt: Prompt) -> AsyncIterator[tuple[int, bool]]:
        """Occupies a slot for the body; waits until one is free.

        Yields:
            Its number, and whether it may hold what others have said.
        """
        async with self._free:
            slot = self._choose(prompt)
            known = slot.knows(prompt)
            self._uses += 1
            slot.busy, slot.used = True, self._uses
            slot.user_id, slot.texts = prompt.user_id, _texts(prompt)
            try:
                yield slot.number, not known
            finally:
                slot.busy = False

    def forget(self) -> None:
        """Marks all slots as unknown: the process of the model has been started again."""
        for slot in self._slots:
            slot.user_id, slot.texts, slot.used = "", (), 0

    def _choose(self, prompt: Prompt) -> Slot:
        free = [slot for slot in self._slots if not slot.busy]
        return max(free, key=lambda slot: (slot.knows(prompt), -slot.used))


def _texts(prompt: Prompt) -> tuple[str, ...]:
    return (*(message.text for message in prompt.history), prompt.question)
