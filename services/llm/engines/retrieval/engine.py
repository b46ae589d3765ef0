"""The embedded engine `retrieval`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from retrieval.embedding import Embedder
from retrieval.encoders import installed_encoder
from retrieval.joined import JoinedEmbedder
from services.llm.engine import Delta, End, EndReason, Item, LlmEngineInfo
from services.llm.engines.retrieval.answerer import Answerer
from services.llm.engines.retrieval.matching.tuning import Encoders
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
        self._encoders: list[KeptVectors] = []
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
        """Loads the sentence encoders, if they are installed."""
        self._encoders = await self._compute.run(self._load_encoders)

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
        everywhere, english = (*self._encoders, None, None)[:2]
        encoders = Encoders(everywhere=everywhere, english=english)
        answerers = {persona.profile.name: Answerer(persona, encoders) for persona in personas}
        for encoder in self._encoders:
            encoder.keep()
            encoder.drop_others(self._encoders)
        return answerers

    def _load_encoders(self) -> list[KeptVectors]:
        """Loads the encoder of all languages, and the one of English that uses another one too."""
        settings = self._settings
        if settings.embedding_model == NO_MODEL:
            return []
        models, kept = ModelStore(settings.data_dir / "models"), settings.data_dir / "llm"
        name = settings.embedding_model
        try:
            name, folder = installed_encoder(models, name)
        except FailedPrecondition as error:
            get_logger().warning("questions are compared by words only", why=error.message)
            return []
        everywhere = _loaded(name, folder)
        encoders = [KeptVectors(everywhere, kept / f"vectors-{name}.npz")]
        second = settings.english_model
        if second not in (NO_MODEL, name):
            try:
                folder = models.path(second)
            except FailedPrecondition as error:
                get_logger().warning("English is compared by one model only", why=error.message)
            else:
                joined = JoinedEmbedder(everywhere, _loaded(second, folder))
                encoders.append(KeptVectors(joined, kept / f"vectors-{name}-{second}.npz"))
        return encoders


def _loaded(name: str, folder: Path) -> Embedder:
    try:
        return _load(folder)
    except Exception as error:  # the runtime has its own exception for each kind of damage
        raise load_fault(name, folder, error) from error


@cache
def _load(folder: Path) -> Embedder:
    """Loads one model per process for all engines: it takes 100 MB."""
    return Embedder(folder)
