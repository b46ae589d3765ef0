"""What every engine with a database does: an index per user in memory, facts, documents, retention.

The database is the truth; an engine says only how it is opened.
"""

import asyncio
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import version
from typing import Any, ClassVar, ParamSpec, TypeVar

from memory.engine import Page, Recollection
from memory.erasure.chunks import erase_user
from memory.erasure.scrubbing import Scrubbing
from memory.facts.decay import Forgetting, Uses
from memory.facts.distiller import Distiller
from memory.facts.extraction import EXTRACTOR
from memory.facts.ledger import FactLedger, corrected
from memory.facts.llm_reader import reader_of
from memory.faults import service_error
from memory.item import Item, Position
from memory.knowledge.base import KnowledgeBase
from memory.knowledge.document import Owner
from memory.knowledge.library import Library
from memory.knowledge.tables import KnowledgeTables
from memory.reflection.job import Reflection
from memory.reflection.llm_condenser import condenser_of
from memory.reflection.tables import SummaryTables
from memory.retention import Retention
from memory.search import selector
from memory.search.encoder import Encoder, QueryVectors, load_encoder
from memory.search.index import IndexCache
from memory.search.re_embedding import ReEmbedding
from memory.search.searching import Query, Search
from memory.search.selector import Judgement
from memory.search.selector_model import Kind, SelectorModel
from memory.settings import MemorySettings
from memory.sqlite.schema import StoreError
from memory.store import Truth, Vector
from services.runtime.compute import Compute
from services.runtime.engine import EngineInfo
from services.runtime.errors import NotFound
from services.runtime.logs import get_logger
from services.runtime.settings import SettingsError
from services.runtime.tasks import Tasks

P = ParamSpec("P")
T = TypeVar("T")

_WORDS_ONLY = "words only"
_EXPORT_PAGE = 200
_ERASING_THREADS = 4
_CLOSE_TIMEOUT_S = 5.0


class StoredMemory(ABC):
    """Keeps the items of all users in a database."""

    name: ClassVar[str]
    """What callers see as the engine's name."""

    def __init__(self, settings: MemorySettings) -> None:
        self._settings = settings
        self._compute = Compute(threads=settings.threads, name="memory")
        # Writes wait for each other anyway; here they do not hold up searches meanwhile.
        self._writing = Compute(threads=1, name="memory-write")
        self._erasing = Compute(threads=_ERASING_THREADS, name="memory-erase")
        self._embedder: Encoder | None = None
        self._embedding_rest: asyncio.Task[None] | None = None
        self._distiller: Distiller | None = None
        self._retention: Retention | None = None
        self._uses = Uses()
        self._forgetting: Forgetting | None = None
        self._reflection: Reflection | None = None
        self._scrubbing: Scrubbing | None = None
        self._library: Library | None = None
        self._storing = Tasks("memory-remember")
        self._opened = ExitStack()

    def describe(self) -> EngineInfo:
        """Says what the engine is; its version names the encoder, or that there is none."""
        return EngineInfo(
            name=self.name,
            version=f"{version('anima')} ({self._model_id or _WORDS_ONLY})",
            licence="Apache-2.0",
        )

    @property
    def knowledge(self) -> KnowledgeBase | None:
        """The documents, once the engine is open."""
        return self._library

    @property
    def _model_id(self) -> str:
        return "" if self._embedder is None else self._embedder.model_id

    async def open(self) -> None:
        """Loads the encoder and opens the database.

        Without the encoder's files the memory works by words alone, and the log says so.

        Raises:
            SettingsError: The database cannot be used, or the encoder's files are broken.
        """
        if (encoder := await self._compute.run(load_encoder, self._settings)) is not None:
            self._embedder = QueryVectors(encoder)
        self._judge = SelectorModel.shipped(self._model_id)
        try:
            self._store = await self._compute.run(self._open_store)
        except StoreError as error:
            raise SettingsError(str(error)) from error
        self._opened.callback(self._store.close)
        get_logger().info(
            "memory opened", place=self._store.place, encoder=self._model_id or _WORDS_ONLY
        )
        self._indexes = IndexCache(
            self._store,
            model_id=self._model_id,
            dimensions=None if self._embedder is None else self._embedder.dimensions,
            max_bytes=self._settings.index_cache_bytes,
        )
        self._library = Library(
            KnowledgeTables(self._store),
            encoder=self._embedder,
            reading=self._compute,
            writing=self._writing,
            run=self._run,
            max_index_bytes=self._settings.index_cache_bytes,
        )
        self._library.start()
        self._ledger = FactLedger(self._store)
        summaries = SummaryTables(self._store)
        self._search = Search(self._store, self._indexes, self._ledger, summaries, self._embedder)
        self._distiller = Distiller(
            self._ledger,
            embedder=self._embedder,
            model_id=self._model_id,
            reading=self._compute,
            writing=self._writing,
            llm_reader=reader_of(self._settings),
        )
        if self._settings.facts:
            self._distiller.start()
        self._retention = Retention(
            self._store,
            self._erasing,
            turn_days=self._settings.turn_retention_days,
            fact_days=self._settings.fact_retention_days,
        )
        self._retention.start()
        self._forgetting = Forgetting(
            self._store,
            self._uses,
            writing=self._erasing,
            how=self._settings.forget_facts,
            half_life_days=self._settings.fact_half_life_days,
        )
        self._forgetting.start()
        self._reflection = Reflection(
            summaries,
            encoder=self._embedder,
            writing=self._writing,
            more_than_turns=self._settings.condense_turns,
            older_than_days=self._settings.condense_days,
            llm_condenser=condenser_of(self._settings),
        )
        self._reflection.start()
        self._scrubbing = Scrubbing(self._store)
        self._scrubbing.start()
        if self._embedder is not None:
            re_embedding = ReEmbedding(
                self._store, self._embedder, reading=self._compute, writing=self._writing
            )
            self._embedding_rest = asyncio.create_task(re_embedding.run())

    @abstractmethod
    def _open_store(self) -> Truth:
        """Opens the database; runs in a thread.

        Raises:
            StoreError: It cannot be used; the text says why, and names the setting.
        """

    async def close(self) -> None:
        """Stops the work in the background and closes the database."""
        for background in (
            self._distiller,
            self._retention,
            self._forgetting,
            self._reflection,
            self._scrubbing,
        ):
            if background is not None:
                await background.stop()
        if self._embedding_rest is not None:
            self._embedding_rest.cancel()
            with suppress(asyncio.CancelledError):
                await self._embedding_rest
        if self._library is not None:
            await self._library.close()
        await self._storing.wait(timeout_s=_CLOSE_TIMEOUT_S)
        await self._storing.close()
        await self._writing.run(self._opened.close)
        for compute in (self._compute, self._writing, self._erasing):
            compute.close()

    async def remember(
        self, user_id: str, items: Sequence[Item], *, asked_unix_ns: int | None = None
    ) -> None:
        """Stores items; returns after the commit.

        They are stored also when the caller gives up meanwhile.
        """
        asked = time.time_ns() if asked_unix_ns is None else asked_unix_ns
        await self._unabandoned(self._add(user_id, items, asked_unix_ns=asked))
        if self._distiller is not None:
            self._distiller.wake()

    async def _unabandoned(self, work: Coroutine[Any, Any, object]) -> None:
        if len(self._storing) >= self._settings.capacity:  # many callers have given up
            await work
            return
        error = await asyncio.shield(self._storing.start(_error_of(work)))
        if error is not None:
            raise error

    async def restore(self, user_id: str, items: Sequence[Item]) -> int:
        """Stores items of an export; returns how many were new."""
        # What the person ended or set right must not be read out of the turns once more.
        return await self._add(user_id, items, distilled_by=EXTRACTOR)

    async def _add(
        self,
        user_id: str,
        items: Sequence[Item],
        *,
        distilled_by: str = "",
        asked_unix_ns: int | None = None,
    ) -> int:
        vectors = await self._run(self._compute, self._vectors_of_new, user_id, items)
        return await self._run(
            self._writing,
            self._store.add,
            user_id,
            items,
            vectors,
            self._model_id,
            distilled_by=distilled_by,
            asked_unix_ns=asked_unix_ns,
        )

    def _vectors_of_new(self, user_id: str, items: Sequence[Item]) -> list[Vector | None]:
        vectors: list[Vector | None] = [None] * len(items)
        if self._embedder is not None:
            known = self._store.known_item_ids(user_id, [item.item_id for item in items])
            new = [at for at, item in enumerate(items) if item.item_id not in known]
            embedded = self._embedder.embed([items[at].searched_text for at in new])
            for at, vector in zip(new, embedded, strict=True):
                vectors[at] = vector
        return vectors

    async def judge(self, query: str) -> Judgement:
        """Judges what a query needs."""
        return await self._compute.run(self._judged, query)

    def _judged(self, query: str) -> Judgement:
        vector = None if self._embedder is None else self._embedder.embed_query(query)
        return selector.judgement_of(query, vector, self._judge)

    async def recall(
        self,
        user_id: str,
        query: str,
        *,
        judgement: Judgement | None = None,
        max_items: int,
        min_score: float,
        exclude_session_id: str,
        kinds: Sequence[int] = (),
        include_past: bool = False,
    ) -> Recollection:
        """Finds what fits a query, best first."""
        judged = judgement or await self.judge(query)
        if judged.is_small_talk:
            return Recollection(items=[], skipped=True)
        best, found = await self._run(
            self._compute,
            self._search.search,
            Query(
                user_id=user_id,
                text=query,
                max_items=max_items,
                exclude_session_id=exclude_session_id,
                kinds=frozenset(kinds),
                include_past=include_past,
            ),
        )
        if found and not selector.fits(
            judged.words,
            best,
            by_words_alone=self._embedder is None,
            judged_needless=judged.kind is Kind.NOTHING,
        ):
            return Recollection(items=[], skipped=True)
        given = [recalled for recalled in found if recalled.score >= min_score]
        self._uses.note(user_id, (one.item for one in given), time.time_ns() // 1_000_000)
        return Recollection(items=given, skipped=False)

    async def pin(self, user_id: str, item_ids: Sequence[str], *, pinned: bool) -> int:
        """Keeps facts and summaries from being forgotten by time, or lets them go again."""
        return await self._run(self._writing, self._ledger.pin, user_id, item_ids, pinned=pinned)

    async def correct(self, user_id: str, item_id: str, value: str) -> Item | None:
        """Ends a fact, and puts the right one in its place."""
        wrong = await self._run(self._compute, self._ledger.fact, user_id, item_id)
        if wrong is None:
            raise NotFound(f"item_id: the user has no fact {item_id}")
        right = corrected(wrong, value) if value else None
        vector: Vector | None = None
        if right is not None and self._embedder is not None:
            (vector,) = await self._run(self._compute, self._embedder.embed, [right.searched_text])
        await self._run(
            self._writing, self._ledger.correct, user_id, wrong, right, vector, self._model_id
        )
        return right

    async def list_items(
        self, user_id: str, *, after: Position | None, page_size: int, kinds: Sequence[int] = ()
    ) -> Page:
        """Lists items, newest first, from behind a position."""
        return await self._run(self._compute, self._page, user_id, after, page_size, kinds)

    def _page(
        self, user_id: str, after: Position | None, page_size: int, kinds: Sequence[int]
    ) -> Page:
        rows = self._store.slice(
            user_id, after=after, limit=page_size + 1, newest_first=True, kinds=kinds
        )
        page, more = rows[:page_size], len(rows) > page_size
        return Page(
            items=[item for _, item in page],
            next_position=page[-1][0] if more else None,
            total_count=self._store.count(user_id, kinds),
        )

    async def forget_items(self, user_id: str, item_ids: Sequence[str]) -> int:
        """Erases items without a trace."""
        return await self._forget(user_id, self._store.forget_items, user_id, item_ids)

    async def forget_everything(self, user_id: str) -> int:
        """Erases all that is held about a user without a trace."""
        return await self._forget(user_id, erase_user, self._store, user_id)

    async def _forget(
        self, user_id: str, erase: Callable[P, int], *args: P.args, **kwargs: P.kwargs
    ) -> int:
        try:
            return await self._run(self._erasing, erase, *args, **kwargs)
        finally:
            self._indexes.drop(user_id)
            if self._library is not None:
                self._library.drop(Owner(user_id=user_id))

    async def export(self, user_id: str) -> AsyncIterator[Item]:
        """Gives everything that is held about a user, oldest first."""
        # In pages: a reader that stays open would keep erased text in the log file.
        after: Position | None = None
        while True:
            rows = await self._run(
                self._compute,
                self._store.slice,
                user_id,
                after=after,
                limit=_EXPORT_PAGE,
                newest_first=False,
            )
            for _, item in rows:
                yield item
            if len(rows) < _EXPORT_PAGE:
                return
            after = rows[-1][0]

    async def _run(
        self, compute: Compute, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            return await compute.run(function, *args, **kwargs)
        except (StoreError, sqlite3.Error) as error:
            get_logger().error("database error", exc_info=error)
            raise service_error(error, self._store.place) from error


async def _error_of(work: Coroutine[Any, Any, object]) -> Exception | None:
    try:
        await work
    except Exception as error:
        return error
    return None
