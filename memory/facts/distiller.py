"""Extracts facts from stored turns, in the background."""

import asyncio
from contextlib import suppress

from memory.facts.forgetting import Forgetter
from memory.facts.ledger import FactLedger, Undistilled
from memory.facts.llm_reader import LlmReader
from memory.service.attempts import Run
from memory.sqlite.rows import Vector
from retrieval.hybrid import TextEmbedder
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute
from services.runtime.process.tasks import Tasks
from text.facts.candidate import Candidate, Finding
from text.facts.extraction import findings

_BATCH = 32
_RETRY_S = 60.0


class Distiller:
    """Processes the items marked as unread in the database; work cut off by a crash is repeated."""

    def __init__(
        self,
        ledger: FactLedger,
        forgetter: Forgetter,
        *,
        embedder: TextEmbedder | None,
        model_id: str,
        reading: Compute,
        writing: Compute,
        llm_reader: LlmReader | None = None,
        is_enabled: bool = True,
    ) -> None:
        """Creates a distiller that does nothing until `start`.

        Args:
            ledger: Stores the facts.
            forgetter: Erases what the person wishes to be forgotten.
            embedder: Computes the vectors of facts; None means no vectors.
            model_id: The model that computes the vectors.
            reading: Runs extraction and embedding.
            writing: Runs database writes.
            llm_reader: Extracts facts with a language model in addition to the rules; None means
                rules only.
            is_enabled: If False, nothing is extracted, even after `start`.
        """
        self._ledger = ledger
        self._forgetter = forgetter
        self._embedder = embedder
        self._model_id = model_id
        self._reading = reading
        self._writing = writing
        self._llm_reader = llm_reader
        self._more = asyncio.Event()
        self._is_enabled = is_enabled
        self._tasks = Tasks("memory-distiller")

    def start(self) -> None:
        """Starts the job, beginning with items left from before."""
        self._more.set()
        if self._is_enabled:
            self._tasks.start(self._run())

    def wake(self) -> None:
        """Notifies the job of a new item."""
        self._more.set()

    async def stop(self) -> None:
        """Stops; work in progress is completed or not done at all."""
        await self._tasks.close()
        if self._llm_reader is not None:
            await self._llm_reader.close()

    async def _run(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            try:
                is_done = await self.distil_all()
            except Exception as error:  # the memory also works without facts
                get_logger().error("distilling facts stopped", exc_info=error)
                is_done = False
            if not is_done:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_RETRY_S):
                        await self._more.wait()
                self._more.set()

    async def distil_all(self) -> bool:
        """Processes every item once; returns whether no item has to be tried again."""
        run, last = Run(self._ledger.attempts, self._writing), 0
        while unread := await self._reading.run(self._ledger.undistilled, _BATCH, last):
            for item in unread:
                try:
                    await self._distil(item)
                except Exception as error:
                    await run.failed([item.row_id], error)
                else:
                    await run.succeeded()
            last = unread[-1].row_id
        return await run.end()

    async def _distil(self, item: Undistilled) -> None:
        wish = await self._reading.run(self._forgetter.wish_of, item)
        if wish is not None:
            await self._writing.run(self._forgetter.forget, item, wish)
            return
        found = await self._reading.run(_read, item)
        if self._llm_reader is not None:
            found = await self._llm_reader.read(item.item.text, found)
        vectors = await self._reading.run(self._vectors, found)
        await self._writing.run(self._ledger.apply, item, found, vectors, self._model_id)

    def _vectors(self, found: list[Finding]) -> list[Vector | None]:
        vectors: list[Vector | None] = [None] * len(found)
        texts = {at: one.text for at, one in enumerate(found) if isinstance(one, Candidate)}
        if self._embedder is not None and texts:
            embedded = self._embedder.embed(list(texts.values()))
            for at, vector in zip(texts, embedded, strict=True):
                vectors[at] = vector
        return vectors


def _read(unread: Undistilled) -> list[Finding]:
    return findings(unread.item.text)
