"""The slots of the model: each answer gets one, preferably the one that knows the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.llm.prompt.prompt import Prompt


@dataclass(eq=False)
class Slot:
    """A place in the model that holds keys and values of its last prompt.

    Attributes:
        number: Its number in the model.
        user_id: Who asked last; empty: unknown.
        texts: The history and the question of the last prompt.
        used: When it was last used, as a count; 0: never.
        strange: Whether it may hold what others have said, and nothing of it may be used.
        wanted: Set when an answer waits for the prefill in it.
        prefilling: Whether the work in it is a prefill.
        takers: How many work in it or wait for it.
    """

    number: int
    user_id: str = ""
    texts: tuple[str, ...] = ()
    used: int = 0
    strange: bool = True
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    prefilling: bool = False
    takers: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

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
    async def use(self, prompt: Prompt, *, prefilling: bool = False) -> AsyncIterator[Slot]:
        """Occupies a slot for the body; waits until one is free.

        A prefill gives way to answers: the one in the same conversation, whose slot the answer
        then takes over, or any if there is no free slot. It must end once its slot is `wanted`.
        """
        if not prefilling:
            self._make_way(prompt)
        async with self._free:
            slot = self._choose(prompt)
            slot.takers += 1
            try:
                async with slot.lock:
                    self._occupy(slot, prompt, prefilling=prefilling)
                    yield slot
            finally:
                slot.takers -= 1
                slot.prefilling = slot.prefilling and slot.takers > 0

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return self._free.locked()

    def forget(self) -> None:
        """Marks all slots as unknown: the process of the model has been started again."""
        for slot in self._slots:
            slot.user_id, slot.texts, slot.used = "", (), 0

    def _make_way(self, prompt: Prompt) -> None:
        prefills = [slot for slot in self._slots if slot.prefilling and not slot.wanted.is_set()]
        known = [slot for slot in prefills if slot.knows(prompt)]
        for slot in known or (prefills[:1] if self.full else ()):
            slot.wanted.set()

    def _choose(self, prompt: Prompt) -> Slot:
        for slot in self._slots:
            if slot.takers == 1 and slot.prefilling and slot.knows(prompt):
                return slot
        free = [slot for slot in self._slots if not slot.takers]
        return max(free, key=lambda slot: (slot.knows(prompt), -slot.used))

    def _occupy(self, slot: Slot, prompt: Prompt, *, prefilling: bool) -> None:
        self._uses += 1
        slot.strange = not slot.knows(prompt)
        slot.used, slot.user_id, slot.texts = self._uses, prompt.user_id, _texts(prompt)
        slot.prefilling = prefilling
        slot.wanted.clear()


def _texts(prompt: Prompt) -> tuple[str, ...]:
    return (*(message.text for message in prompt.history), prompt.question)
