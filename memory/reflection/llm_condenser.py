"""Condenses turns with the llm stage over gRPC, and accepts only what the turns contain."""

import re
import uuid
from collections.abc import Sequence
from typing import Final

from anima.llm.v1 import llm_pb2 as llm
from anima.memory.v1 import SPEAKER_ASSISTANT
from memory.items.item import Item
from memory.language_model import LanguageModel, token_of
from memory.reflection.condensed import Condensed
from memory.reflection.sentences import dated
from memory.service import metrics
from memory.settings import MemorySettings
from retrieval.tokeniser import tokens
from services.runtime.calls.streams import received
from services.runtime.errors import AnimaError
from services.runtime.observing.logs import get_logger
from text.languages import is_chinese

EXTRACTOR: Final = "llm-summary-1"
"""The name and version of the prompt and the checks."""
_MOST_ASKED_CHARS = 6_000
_LEAST_CHARS, _MOST_CHARS = 8, 500
_GROUNDED = 0.5
_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z]\w+")
_ENGLISH = (
    "Condense this old conversation into at most three short sentences. Say only what was said,"
    " about the person, without headings or lists.\n\n{}"
)
_CHINESE = (
    "用最多三句简短的话概括下面这段旧对话。"
    "只写对话里说过的、和用户有关的内容，不要标题或列表。\n\n{}"
)


class UnbelievedError(Exception):
    """The model's answer cannot be a summary of the turns."""


class LlmCondenser:
    """Condenses turns with a language model; after a failure it is not used for a minute."""

    def __init__(self, model: LanguageModel) -> None:
        """Creates a condenser, which closes the model when it is closed."""
        self._model = model

    async def close(self) -> None:
        """Closes the model."""
        await self._model.close()

    async def condense(self, turns: Sequence[Item]) -> Condensed | None:
        """Condenses turns; None if the model fails or adds something that was not said."""
        if self._model.is_left_alone:
            return None
        talk = _talk(turns)
        try:
            text = believed(await self._answer(talk), talk)
        except UnbelievedError as error:
            _note_failure(str(error))
            return None
        except AnimaError as error:
            self._model.leave_alone()
            _note_failure(str(error))
            return None
        return Condensed(
            text=dated(turns[0].created_unix_ms, [text]),
            in_words_of_the_person=False,
            extractor=EXTRACTOR,
        )

    async def _answer(self, talk: str) -> str:
        config = llm.GenerateConfig(
            turn_id=f"summary-{uuid.uuid4().hex}",
            epoch=1,
            question=(_CHINESE if is_chinese(talk) else _ENGLISH).format(talk),
        )
        call = self._model.ask(config)
        text = ""
        async for response in received("llm", call, last="finished"):
            if response.WhichOneof("event") == "delta":
                text += response.delta.text
                if len(text) > _MOST_CHARS:
                    call.cancel()
                    raise UnbelievedError(f"must be at most {_MOST_CHARS} characters")
        return text


def believed(answer: str, talk: str) -> str:
    """Returns a model's summary as one line.

    Raises:
        UnbelievedError: It is too short or too long, or has numbers, names or mostly words that
            do not occur in the conversation.
    """
    text = " ".join(answer.split())
    if not _LEAST_CHARS <= len(text) <= _MOST_CHARS:
        raise UnbelievedError(
            f"must be {_LEAST_CHARS} to {_MOST_CHARS} characters, got {len(text)}"
        )
    invented = set(_NUMBER.findall(text)) - set(_NUMBER.findall(talk))
    invented |= {name for name in _NAME.findall(text) if name.lower() not in talk.lower()}
    if invented:
        raise UnbelievedError("it contains names or numbers that nobody said")
    words = set(tokens(text))
    if len(words & set(tokens(talk))) < _GROUNDED * len(words):
        raise UnbelievedError("it consists mostly of words that nobody said")
    return text


def _talk(turns: Sequence[Item]) -> str:
    lines = [
        f"{turn.speaker_name or ('A' if turn.speaker == SPEAKER_ASSISTANT else 'User')}: "
        f"{' '.join(turn.text.split())}"
        for turn in turns
    ]
    room = max(_MOST_ASKED_CHARS // len(lines), 80)
    return "\n".join(line[:room] for line in lines)


def _note_failure(why: str) -> None:
    metrics.FAILED_LLM_SUMMARIES.inc()
    get_logger().warning("the llm stage failed; a summary is made of sentences", problem=why)


def condenser_of(settings: MemorySettings) -> LlmCondenser | None:
    """Creates the condenser for the settings; None if they name no llm stage."""
    if not settings.llm_target:
        return None
    return LlmCondenser(LanguageModel(settings.llm_target, token=token_of(settings)))
