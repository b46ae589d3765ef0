"""The embedded engine `retrieval`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from retrieval.embedding import Embedder
from services.llm.engine import Delta, End, EndReason, Item, LlmEngineInfo
from services.llm.engines.retrieval.answerer import Answerer
from services.llm.engines.retrieval.matching.vectors import KeptVectors
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Prompt
from services.llm.settings import NO_MODEL, LlmSettings
from services.llm.speech.words import pieces, shorten
from services.runtime.errors import FailedPrecondition
from services.runtime.models.loading import load_fault
from services.runtime.models.store import ModelStore
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute


class RetrievalEngine:
    """Answers from a persona's corpus and documents, from memories and from the history.

    It finds answers and does not reason. If nothing matches, it says so.
    """

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self._compute = Compute(threads=1, name="llm")
        self._embedder: KeptVectors | None = None
        self._answerers: dict[str, Answerer] = {}

    def describe(self) -> LlmEngineInfo:
        """Describes the engine."""
        # Words of every language are compared; the phrases that steer a conversation exist in two.
        return LlmEngineInfo(
            name="retrieval",
            version=version("anima"),
            licence="Apache-2.0",
            languages=("en", "zh"),
            calls_tools=True,
        )

    async def open(self) -> None:
        """Loads the sentence encoder, if it is installed."""
        self._embedder = await self._compute.run(self._load_embedder)

    async def prepare(self, personas: Sequence[Persona]) -> None:
        """Indexes the personas."""
        self._answerers = await self._compute.run(self._index, personas)

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Item, None]:
        """Finds the answer, then yields it word by word at the interval of the settings."""
        answerer = self._answerers[prompt.persona.profile.name]
        reply = await self._compute.run(answerer.reply, prompt)
        if reply.call is not None:
            yield reply.call
        text, was_cut = shorten(reply.text, prompt.max_words)
        interval_ms = prompt.word_interval_ms
        if interval_ms is None:
            interval_ms = self._settings.word_interval_ms
        loop = asyncio.get_running_loop()
        due = loop.time()
        for number, piece in enumerate(pieces(text)):
            if number:
                due += interval_ms / 1000
                await asyncio.sleep(max(0.0, due - loop.time()))
            yield Delta(piece)
        yield End(reason=EndReason.LENGTH if was_cut else EndReason.COMPLETE, sources=reply.sources)

    async def close(self) -> None:
        """Ends the engine's thread."""
        self._compute.close()

    def _index(self, personas: Sequence[Persona]) -> dict[str, Answerer]:
        embedder = self._embedder
        answerers = {persona.profile.name: Answerer(persona, embedder) for persona in personas}
        if embedder is not None:
            embedder.keep()
        return answerers

    def _load_embedder(self) -> KeptVectors | None:
        model, data_dir = self._settings.embedding_model, self._settings.data_dir
        if model == NO_MODEL:
            return None
        try:
            folder = ModelStore(data_dir / "models").path(model)
            embedder = _load(folder)
        except (FailedPrecondition, FileNotFoundError) as error:
            get_logger().warning("questions are compared by words only", why=str(error))
            return None
        except Exception as error:  # the runtime has its own exception for each kind of damage
            raise load_fault(model, folder, error) from error
        return KeptVectors(embedder, data_dir / "llm" / f"vectors-{model}.npz")


@cache
def _load(folder: Path) -> Embedder:
    """Loads one model per process for all engines: it takes 90 MB."""
    return Embedder(folder)
