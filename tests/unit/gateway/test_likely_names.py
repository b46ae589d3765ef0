"""The names that the recogniser is told."""

from __future__ import annotations

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.listening.hot_words import MOST_WORDS, likeliest, names_in
from services.runtime.errors import FailedPrecondition
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import conversation, run
from tests.unit.gateway.speaking import Speaker, speech


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("What can you do?", ()),
        ("My name is Olga. She lives in Berlin.", ("Olga", "Berlin")),
        ("Olga is my name.", ()),
        ("We have a GPT-4 and an iPhone; Bob's is older.", ("GPT-4", "iPhone")),
        ('It is Bob\'s. "Why?" asked Eve.', ("Bob", "Eve")),
        ("# The title\nA line with Kubernetes", ("Kubernetes",)),
        ("我叫王小明。", ()),
        ("She met " + "X" * 50, ()),
        ("It was Olga and Olga", ("Olga",)),
    ],
)
def test_names_are_words_with_a_capital_that_means_something(
    text: str, names: tuple[str, ...]
) -> None:
    assert names_in(text) == names


def test_a_title_has_no_beginning() -> None:
    assert names_in("Olga Petrowa", is_sentence=False) == ("Olga", "Petrowa")


def test_the_first_ones_are_kept() -> None:
    texts = [(f"He met Bob and N{chr(97 + n // 26)}{chr(97 + n % 26)}", True) for n in range(300)]
    found = likeliest(texts)
    assert found[:2] == ["Bob", "Naa"]
    assert len(found) == MOST_WORDS


def test_a_long_conversation_is_read_in_part() -> None:
    long = "and so on " * 10_000
    assert likeliest([(f"He met Bob {long}", True), ("He met Eve", True)]) == ["Bob"]


def test_conversation_memory_and_documents_tell_names() -> None:
    async def main(stages: DirectStages) -> None:
        stages.memory.facts = ["Olga", "a dog called Rex"]
        stages.memory.titles = ["The Wiring of Heliostats"]
        stages.asr.texts = ["one", "two"]
        config = pb.ConverseConfig(user_id="u")
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("Do you know my friend Zbigniew?")
            await said.until_kind("turn_ended")
            microphone = Speaker(session)
            for number in (2, 3):
                await microphone.say(speech(0.5, 1.0, 0.7))
                await said.until_kind("turn_ended", number)
        hints = list(stages.asr.configs[-1].phrase_hints)
        assert {"Zbigniew", "Olga", "Rex", "Heliostats"} <= set(hints)
        assert hints.index("Zbigniew") < hints.index("Olga") < hints.index("Heliostats")

    run(main)


def test_a_memory_that_is_down_does_not_keep_anybody_from_being_heard() -> None:
    async def main(stages: DirectStages) -> None:
        stages.memory.refuse = FailedPrecondition("no disk")
        config = pb.ConverseConfig(user_id="u")
        async with conversation(stages.mesh(), config) as (session, said):
            await Speaker(session).say(speech(0.5, 1.0, 0.7))
            await said.until_kind("turn_ended")
        assert stages.asr.configs

    run(main)
