"""The tokens of a chat: the same in parts as in one piece, and fast the second time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.llm.engines.chat_tokeniser import ChatTokeniser, first_prompts
from services.llm.engines.local_model import LocalModelOptions
from services.llm.persona.catalogue import PersonaCatalogue
from services.llm.prompt.prompt import Memory, Message, Prompt, Role, build_prompt
from services.runtime.errors import FailedPrecondition
from testing.models.tiny_tokeniser import CONTEXT_TOKENS

NO_SYSTEM = (
    "{% for message in messages %}{% if message.role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def tokeniser(tiny: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny / "model")


@pytest.fixture(scope="session")
def catalogue(tiny: Path) -> PersonaCatalogue:
    return PersonaCatalogue.load(tiny / "personas", "anima")


def options(context_tokens: int = CONTEXT_TOKENS) -> LocalModelOptions:
    return LocalModelOptions(model="tiny", context_tokens=context_tokens)


def talk(catalogue: PersonaCatalogue, turns: int = 4, question: str = "And now?") -> Prompt:
    history = [
        Message(
            role=Role.USER if number % 2 == 0 else Role.ASSISTANT,
            text=f"{number}: 我们说 3.5 km, <|im_end|> or\n\n not? {'well ' * 20}".strip(),
        )
        for number in range(turns)
    ]
    memory = Memory(text="I like tea.", score=0.9, role=Role.USER, created_unix_ms=0)
    return build_prompt(
        turn_id="t",
        persona=catalogue.personas[0],
        language="en",
        question=question,
        history=history,
        memories=[memory],
        max_words=0,
        word_interval_ms=None,
    )


def whole(tokeniser: Any, made: ChatTokeniser, prompt: Prompt) -> list[int]:
    """The tokens of the rendered chat in one piece, by the library itself."""
    _, chat = made.encode(prompt)
    tokens: list[int] = tokeniser.apply_chat_template(
        [{"role": one.role.value, "content": one.text} for one in chat.messages],
        add_generation_prompt=True,
        return_dict=False,
    )
    return tokens


async def test_parts_give_the_tokens_of_the_whole(
    tokeniser: Any, catalogue: PersonaCatalogue
) -> None:
    made = ChatTokeniser(tokeniser, options())
    for turns in (0, 1, 4, 10):
        prompt = talk(catalogue, turns)
        for _ in range(2):  # the second time from the cache
            assert made.encode(prompt)[0] == whole(tokeniser, made, prompt)


async def test_what_was_read_before_is_quick(tokeniser: Any, catalogue: PersonaCatalogue) -> None:
    made = ChatTokeniser(tokeniser, options())
    prompt = talk(catalogue, turns=40)
    assert not made.is_quick(prompt), "the persona was never read"
    for first in first_prompts(catalogue.personas):
        made.encode(first)
    assert made.is_quick(talk(catalogue, turns=0))
    assert not made.is_quick(prompt), "the history is long and new"
    assert not made.is_quick(talk(catalogue, turns=0, question="why " * 2_000))
    made.encode(prompt)
    assert made.is_quick(prompt)


class OnePieceTokeniser:
    """A tokeniser in Python whose tokens depend on the beginning of the text."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.backend_tokenizer = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        tokens: list[int] = self._real.encode(text, add_special_tokens=add_special_tokens)
        return [5, *tokens]


async def test_a_tokeniser_that_cannot_be_cut_reads_the_whole(
    tokeniser: Any, catalogue: PersonaCatalogue
) -> None:
    made = ChatTokeniser(OnePieceTokeniser(tokeniser), options())
    prompt = talk(catalogue)
    made.encode(prompt)
    assert not made.is_quick(prompt)
    assert made.encode(prompt)[0] == [5, *whole(tokeniser, made, prompt)]


async def test_a_template_without_a_system_role_gets_the_rules_with_the_first_question(
    tokeniser: Any, catalogue: PersonaCatalogue
) -> None:
    tokeniser.chat_template = NO_SYSTEM
    made = ChatTokeniser(tokeniser, options())
    text = tokeniser.decode(made.encode(talk(catalogue, turns=0))[0])
    assert text.startswith("<|im_start|>user\nYou are Anima")
    assert text.endswith("Question: And now?<|im_end|>\n<|im_start|>assistant\n")


async def test_a_template_that_takes_nothing_is_told(tokeniser: Any) -> None:
    tokeniser.chat_template = "{{ raise_exception('never') }}"
    with pytest.raises(FailedPrecondition, match="never"):
        ChatTokeniser(tokeniser, options())
    tokeniser.chat_template = None
    with pytest.raises(FailedPrecondition, match="no chat template"):
        ChatTokeniser(tokeniser, options())


async def test_the_context_is_kept(tokeniser: Any, catalogue: PersonaCatalogue) -> None:
    made = ChatTokeniser(tokeniser, options(context_tokens=1_000))
    tokens, chat = made.encode(talk(catalogue, turns=40))
    assert len(tokens) <= options(context_tokens=1_000).prompt_tokens
    assert chat.dropped_history > 0
    assert "And now?" in tokeniser.decode(tokens)
