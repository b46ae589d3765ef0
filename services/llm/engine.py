"""The interface that every engine of this stage fulfils.

An engine is named by an entry point in `anima.llm.engines` and made by calling that with the
settings of the service. It knows nothing of gRPC.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias, runtime_checkable

from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Prompt
from services.llm.prompt.tools import ToolCall


class SourceKind(Enum):
    """Where an answer may come from."""

    CORPUS = "corpus"
    DOCUMENT = "document"
    MEMORY = "memory"
    HISTORY = "history"


class EndReason(Enum):
    """Why an answer ended by itself."""

    COMPLETE = "complete"
    LENGTH = "length"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where an answer came from."""

    kind: SourceKind
    name: str
    """The entry, the file, or the words of a memory."""
    score: float
    """How well it fits the question, 0 to 1."""


@dataclass(frozen=True)
class Delta:
    """More text of the answer: not empty, never half a character, spaces included."""

    text: str


@dataclass(frozen=True, kw_only=True)
class End:
    """The end of the answer; nothing follows."""

    reason: EndReason
    sources: tuple[Source, ...] = ()
    """Empty if the model invented the answer."""


@dataclass(frozen=True, kw_only=True)
class EngineDescription:
    """What the engine is."""

    name: str
    version: str
    licence: str
    """SPDX expression of the engine and its model files."""
    languages: tuple[str, ...]
    """BCP-47 tags; empty if the language does not matter."""
    calls_tools: bool = False
    """Whether it calls the tools of a prompt; else it answers without them."""


Item: TypeAlias = Delta | ToolCall | End
"""What an answer is made of."""
Report: TypeAlias = Callable[[str], Awaitable[None]]
"""Told why the engine cannot answer now; an empty text: it can again."""


class LlmEngine(Protocol):
    """Writes answers."""

    def describe(self) -> EngineDescription:
        """Says what the engine is; asked after `warm_up`."""
        ...

    async def warm_up(self, personas: Sequence[Persona]) -> None:
        """Loads what is needed to answer at once.

        Args:
            personas: All that will be asked; each `Prompt.persona` is one of them.
        """
        ...

    def answer(self, prompt: Prompt) -> AsyncGenerator[Item, None]:
        """Writes the answer to a question.

        Closing or cancelling the generator stops the engine's work for this question at once.
        The event loop is never blocked. `Prompt.max_words` is kept.

        Returns:
            Any number of `Delta` and, where tools are offered, `ToolCall`; then one `End`.
        """
        ...

    async def close(self) -> None:
        """Frees what `warm_up` took."""
        ...


@runtime_checkable
class WatchedEngine(Protocol):
    """An engine that can fail after its warm-up and come back."""

    async def watch(self, report: Report) -> None:
        """Reports each change until it is cancelled; runs from the end of the warm-up."""
        ...
