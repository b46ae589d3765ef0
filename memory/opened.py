"""The parts of an engine whose database is open, and how they are assembled."""

from dataclasses import dataclass
from typing import Final, Self

from memory.erasure.scrubbing import Scrubbing
from memory.facts.decay import Decay, Uses
from memory.facts.distiller import Distiller
from memory.facts.forgetting import Forgetter
from memory.facts.ledger import FactLedger
from memory.facts.llm_reader import reader_of
from memory.items.retention import Retention
from memory.knowledge.library import Library
from memory.knowledge.tables import KnowledgeTables
from memory.reflection.job import Reflection
from memory.reflection.llm_condenser import condenser_of
from memory.reflection.tables import SummaryTables
from memory.search.encoder import Encoder
from memory.search.index import IndexCache
from memory.search.re_embedding import Pending, ReEmbedding
from memory.search.searching import Search
from memory.search.selector_model import SelectorModel
from memory.service.background import Background, Once
from memory.service.running import DatabaseRunner
from memory.settings import MemorySettings
from memory.store import Truth
from services.runtime.process.compute import Compute

_ERASING_THREADS: Final = 4


class Threads:
    """The threads of an engine.

    Attributes:
        reading: Embeds, searches and reads.
        writing: Writes; writes are serialised anyway, and here they do not block searches.
        erasing: Erases, which may take long.
    """

    def __init__(self, reading_threads: int) -> None:
        self.reading = Compute(threads=reading_threads, name="memory")
        self.writing = Compute(threads=1, name="memory-write")
        self.erasing = Compute(threads=_ERASING_THREADS, name="memory-erase")

    def close(self) -> None:
        """Releases the threads."""
        for compute in (self.reading, self.writing, self.erasing):
            compute.close()


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The parts of an engine whose database is open.

    Attributes:
        store: The database.
        encoder: Computes the vectors; None means that only words are searched.
        selector_model: Classifies what a query needs.
        run: Runs functions of the database in threads.
        indexes: The search indexes of users.
        search: Searches the items.
        ledger: The facts.
        library: The documents.
        uses: Counts which facts are returned.
        distiller: Extracts facts from stored items.
        reflection: Condenses old turns.
        background: All background work, in the order in which it is started and stopped.
    """

    store: Truth
    encoder: Encoder | None
    selector_model: SelectorModel | None
    run: DatabaseRunner
    indexes: IndexCache
    search: Search
    ledger: FactLedger
    library: Library
    uses: Uses
    distiller: Distiller
    reflection: Reflection
    background: tuple[Background, ...]

    @property
    def model_id(self) -> str:
        """The encoder's model; empty without an encoder."""
        return "" if self.encoder is None else self.encoder.model_id

    @classmethod
    def assemble(
        cls,
        settings: MemorySettings,
        store: Truth,
        encoder: Encoder | None,
        selector_model: SelectorModel | None,
        threads: Threads,
    ) -> Self:
        """Creates the parts; none of them works before it is started."""
        run = DatabaseRunner(store.place)
        model_id = "" if encoder is None else encoder.model_id
        indexes = IndexCache(
            store,
            model_id=model_id,
            dimensions=None if encoder is None else encoder.dimensions,
            max_bytes=settings.index_cache_bytes,
        )
        library = Library(
            KnowledgeTables(store),
            encoder=encoder,
            reading=threads.reading,
            writing=threads.writing,
            run=run,
            max_index_bytes=settings.index_cache_bytes,
        )
        pending = Pending()
        ledger, summaries, uses = FactLedger(store), SummaryTables(store), Uses()
        distiller = Distiller(
            ledger,
            Forgetter(store),
            embedder=encoder,
            model_id=model_id,
            reading=threads.reading,
            writing=threads.writing,
            llm_reader=reader_of(settings),
            is_enabled=settings.facts,
        )
        reflection = Reflection(
            summaries,
            encoder=encoder,
            writing=threads.writing,
            more_than_turns=settings.condense_turns,
            older_than_days=settings.condense_days,
            llm_condenser=condenser_of(settings),
        )
        background: list[Background] = [
            distiller,
            Retention(
                store,
                threads.erasing,
                turn_days=settings.turn_retention_days,
                fact_days=settings.fact_retention_days,
            ),
            Decay(
                store,
                uses,
                writing=threads.erasing,
                how=settings.forget_facts,
                half_life_days=settings.fact_half_life_days,
            ),
            reflection,
            Scrubbing(store),
            library,
        ]
        if encoder is not None:
            re_embedding = ReEmbedding(
                store, encoder, pending, reading=threads.reading, writing=threads.writing
            )
            background.append(Once(re_embedding.run, name="memory-re-embedding"))
        return cls(
            store=store,
            encoder=encoder,
            selector_model=selector_model,
            run=run,
            indexes=indexes,
            search=Search(store, indexes, ledger, summaries, encoder, pending),
            ledger=ledger,
            library=library,
            uses=uses,
            distiller=distiller,
            reflection=reflection,
            background=tuple(background),
        )
