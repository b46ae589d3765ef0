"""Which conversation gets which slot of the model."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.llm.engines.gguf.slots import Slots
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Message, Prompt, Role
from tests.unit.llm.talk import prompt_for


def said(*texts: str) -> list[Message]:
    roles = (Role.USER, Role.ASSISTANT)
    return [Message(role=roles[number % 2], text=text) for number, text in enumerate(texts)]


@pytest.fixture
def ask(anima: Persona) -> Asker:
    return Asker(anima)


class Asker:
    def __init__(self, persona: Persona) -> None:
        self._persona = persona

    def __call__(self, question: str, *history: str, user: str = "") -> Prompt:
        prompt = prompt_for(self._persona, question, history=said(*history), language="en")
        return replace(prompt, user_id=user)


async def test_a_conversation_keeps_its_slot(ask: Asker) -> None:
    slots = Slots(3)
    async with slots.use(ask("Hello.")) as first:
        assert first.strange
    async with slots.use(ask("Good day.")) as other:
        assert other.strange
        assert other is not first
    async with slots.use(ask("Who are you?", "Hello.", "Hi!")) as again:
        assert again is first
        assert not again.strange


async def test_a_question_that_is_put_again_keeps_its_slot(ask: Asker) -> None:
    """A guess and the final words differ in the question only."""
    slots = Slots(2)
    async with slots.use(ask("Who are", "Hello.", "Hi!")) as first:
        pass
    async with slots.use(ask("Who are you?", "Hello.", "Hi!")) as again:
        assert again is first
        assert not again.strange


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("Hello.",), ("Hello.",)),  # anybody begins like that
        (("I am Olga.",), ("Who?", "I am Max.", "Hi!")),
        (("And?", "I am Olga.", "Hi!"), ("And?", "I am Olga.", "Hello!")),
    ],
)
async def test_who_cannot_repeat_it_does_not_know_it(
    ask: Asker, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    slots = Slots(1)
    async with slots.use(ask(*before)):
        pass
    async with slots.use(ask(*after)) as slot:
        assert slot.strange


async def test_a_user_keeps_a_slot_and_no_other_user_knows_it(ask: Asker) -> None:
    slots = Slots(1)
    async with slots.use(ask("Hello.", user="olga")):
        pass
    async with slots.use(ask("Something else.", user="olga")) as slot:
        assert not slot.strange
    async with slots.use(ask("Something else.", user="max")) as slot:
        assert slot.strange
    async with slots.use(ask("And?", "Something else.", "Hi!")) as slot:
        assert slot.strange, "a caller without a user is no user"


async def test_the_slot_that_was_used_longest_ago_is_given_away(ask: Asker) -> None:
    slots = Slots(2)
    for user in ("olga", "max", "olga"):
        async with slots.use(ask("Hello.", user=user)) as last:
            pass
    async with slots.use(ask("Hello.", user="ida")) as slot:
        assert slot is not last


async def test_who_finds_no_slot_waits(ask: Asker) -> None:
    slots = Slots(1)
    used: list[int] = []

    async def use() -> None:
        async with slots.use(ask("Hello.")) as slot:
            used.append(slot.number)

    async with slots.use(ask("Hello.")):
        assert slots.full
        waiting = asyncio.create_task(use())
        gone = asyncio.create_task(use())
        await asyncio.sleep(0)
        assert not used
        gone.cancel()
    await waiting
    assert used == [0]
    assert not slots.full


async def prefill(slots: Slots, prompt: Prompt) -> int:
    async with slots.use(prompt, prefilling=True) as slot:
        await slot.wanted.wait()
        return slot.number


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_a_prefill_gives_way_to_the_answer_in_its_conversation(
    ask: Asker, count: int
) -> None:
    slots = Slots(count)
    history = ("Hello.", "Hi!")
    reading = asyncio.create_task(prefill(slots, ask("?", *history)))
    others = [
        asyncio.create_task(prefill(slots, ask("?", f"I am {number}.", "Hi!")))
        for number in range(count - 1)
    ]
    await asyncio.sleep(0)
    async with slots.use(ask("Who are you?", *history)) as slot:
        assert slot.number == await reading
        assert not slot.strange
        assert not any(other.done() for other in others)
    for other in others:
        other.cancel()


async def test_a_prefill_of_others_gives_way_only_if_no_slot_is_free(ask: Asker) -> None:
    slots = Slots(2)
    reading = asyncio.create_task(prefill(slots, ask("?", "I am Olga.", "Hi!")))
    await asyncio.sleep(0)
    async with slots.use(ask("Hello.")) as first:
        assert not reading.done()
        async with slots.use(ask("Good day.")) as second:
            assert second.number == await reading != first.number
            assert second.strange


async def test_a_model_that_was_started_again_knows_nobody(ask: Asker) -> None:
    slots = Slots(1)
    async with slots.use(ask("Hello.", user="olga")):
        pass
    slots.forget()
    async with slots.use(ask("Hello.", user="olga")) as slot:
        assert slot.strange
