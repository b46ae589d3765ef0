"""The interface that every engine of this stage fulfils.

An engine is named by an entry point in `anima.llm.engines` and made by calling that with the
`LlmSettings`. It knows nothing of gRPC.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Prompt
from services.llm.prompt.tools import ToolCall
from services.runtime.engine import Engine, EngineInfo


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
class LlmEngineInfo(EngineInfo):
    """What an engine of this stage is."""

    calls_tools: bool = False
    """Whether it calls the tools of a prompt; else it answers without them."""


Item: TypeAlias = Delta | ToolCall | End
"""What an answer is made of."""


class LlmEngine(Engine, Protocol):
    """Writes answers."""

    def describe(self) -> LlmEngineInfo:
        """Returns what the engine is; called after `open`."""
        ...

    async def prepare(self, personas: Sequence[Persona]) -> None:
        """Gets ready to answer for personas at once; called once, after `open`.

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
