"""The interface that every engine of this stage implements.

An engine is registered as an entry point in `anima.llm.engines`, which is called with the
`LlmSettings`. An engine does not depend on gRPC.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias, runtime_checkable

from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Prompt
from services.llm.prompt.tools import ToolCall
from services.runtime.engine import Engine, EngineInfo


class SourceKind(Enum):
    """The kinds of sources of an answer."""

    CORPUS = "corpus"
    DOCUMENT = "document"
    MEMORY = "memory"
    HISTORY = "history"


class EndReason(Enum):
    """Why an answer ended, if it was not interrupted."""

    COMPLETE = "complete"
    LENGTH = "length"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source of an answer."""

    kind: SourceKind
    name: str
    """The entry, the file, or the text of a memory."""
    score: float
    """How well it matches the question, 0 to 1."""


@dataclass(frozen=True)
class Delta:
    """More text of the answer: not empty, never half a character, spaces included."""

    text: str


@dataclass(frozen=True, kw_only=True)
class End:
    """The end of the answer; nothing follows."""

    reason: EndReason
    sources: tuple[Source, ...] = ()
    """Empty if the answer has no sources."""


@dataclass(frozen=True, kw_only=True)
class LlmEngineInfo(EngineInfo):
    """The description of an engine of this stage."""

    calls_tools: bool = False
    """Whether it can call the tools of a prompt; otherwise it answers without them."""
    sees_pictures: bool = False
    """Whether it can see the pictures of a prompt; otherwise it is not asked about them."""


@runtime_checkable
class PrefillingEngine(Protocol):
    """An engine that keeps the beginnings of prompts."""

    async def prefill(self, prompt: Prompt) -> None:
        """Reads a prompt whose question is not complete, without writing an answer.

        An answer to the same conversation then starts sooner. Cancelling it stops the engine's
        work; what it has read so far stays.

        Raises:
            AnimaError: The engine cannot read it.
        """
        ...


Item: TypeAlias = Delta | ToolCall | End
"""A part of an answer."""


class LlmEngine(Engine, Protocol):
    """Generates answers."""

    def describe(self) -> LlmEngineInfo:
        """Returns the description of the engine; called after `open`."""
        ...

    async def prepare(self, personas: Sequence[Persona]) -> None:
        """Prepares for the personas, so that first answers are fast; called once, after `open`.

        Args:
            personas: All personas in use; each `Prompt.persona` is one of them.
        """
        ...

    def answer(self, prompt: Prompt) -> AsyncGenerator[Item, None]:
        """Generates the answer to a question.

        Closing or cancelling the generator stops the engine's work for this question at once.
        It never blocks the event loop and respects `Prompt.max_words`.

        Returns:
            Any number of `Delta` and, where tools are offered, `ToolCall`; then one `End`.
        """
        ...
