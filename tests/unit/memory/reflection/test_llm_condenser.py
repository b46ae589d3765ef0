"""A language model condenses turns: its prompt, its accepted output, its failures."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from anima.memory.v1 import SPEAKER_UNSPECIFIED
from memory.language_model import LanguageModel
from memory.reflection.llm_condenser import LlmCondenser, UnbelievedError, believed
from memory.sqlite.store import Store
from services.runtime.errors import Unavailable
from testing.fakes.stages import FakeLlm
from tests.unit.memory.llm_stage import llm_stage
from tests.unit.memory.reflection.talks import (
    CELLO,
    GARDEN,
    MAY_3,
    hear,
    reflecting,
    summaries,
    talk,
)

TURNS = talk("g", GARDEN, day=MAY_3, session="s")
TALK = " ".join(GARDEN)
GOOD = "The person planted tomatoes in the garden, and the neighbour Otto waters them."


@pytest.fixture
def model() -> FakeLlm:
    return FakeLlm(answer=(GOOD[:20], GOOD[20:]))


@pytest.fixture
async def address(model: FakeLlm) -> AsyncIterator[str]:
    async with llm_stage(model) as one:
        yield one


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, synchronous="normal")
    yield store
    store.close()


def test_only_what_was_said_is_believed() -> None:
    assert believed(f" {GOOD}\n", TALK) == GOOD
    assert believed("用户在业余乐团拉大提琴，下个月演出。", "".join(CELLO))


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Yes.",
        f"{GOOD} " * 9,
        "The person planted 12 tomatoes in the garden.",
        "The person planted tomatoes, and Herbert waters the garden.",
        "As an assistant without access to earlier sessions, nothing useful comes to mind.",
        "用户喜欢去海边游泳，还养了两只猫。",
    ],
)
def test_what_was_not_said_is_refused(answer: str) -> None:
    with pytest.raises(UnbelievedError):
        believed(answer, TALK)


async def test_the_model_condenses_both_languages(model: FakeLlm, address: str) -> None:
    condenser = LlmCondenser(LanguageModel(address, token=None))
    condensed = await condenser.condense(TURNS)
    assert condensed is not None
    assert condensed.text == f"On 3 May 2026: {GOOD}"
    assert not condensed.in_words_of_the_person
    assert f"User: {GARDEN[1]}\n" in model.configs[0].question
    assert "A: Tomatoes need sun and water." in model.configs[0].question
    model.answer = ("用户在业余乐团拉大提琴。",)
    chinese = await condenser.condense(talk("c", CELLO, day=MAY_3, session="s"))
    assert chinese is not None
    assert chinese.text == "2026年5月3日：用户在业余乐团拉大提琴。"
    assert "概括" in model.configs[1].question
    model.answer = ("word " * 200,)
    assert await condenser.condense(TURNS) is None
    await condenser.close()


async def test_while_it_fails_it_is_left_alone(model: FakeLlm, address: str) -> None:
    now_s = [0.0]
    condenser = LlmCondenser(LanguageModel(address, token=None, now_s=lambda: now_s[0]))
    model.refuse = Unavailable("the model is away")
    assert await condenser.condense(TURNS) is None
    assert await condenser.condense(TURNS) is None
    assert model.refused == 1
    now_s[0], model.refuse = 60.0, None
    assert await condenser.condense(TURNS) is not None
    await condenser.close()


async def test_the_job_asks_it_and_goes_on_by_sentences(
    model: FakeLlm, address: str, store: Store
) -> None:
    hear(store, TURNS)
    hear(store, talk("c", CELLO, day=MAY_3, session="t"))
    condenser = LlmCondenser(LanguageModel(address, token=None))
    with reflecting(store, day=MAY_3 + 60, llm_condenser=condenser) as job:
        assert await job.reflect() == 2
        await job.stop()
    garden, cello = summaries(store)
    assert garden.summary is not None
    assert cello.summary is not None
    assert (garden.text, garden.speaker) == (f"On 3 May 2026: {GOOD}", SPEAKER_UNSPECIFIED)
    assert garden.summary.extractor == "llm-summary-1"
    assert cello.summary.extractor == "sentences-1"  # it wrote about something else
