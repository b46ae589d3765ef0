"""The common part of engines with a database: per-user indexes, facts, documents, retention.

The database is the source of truth; an engine only defines how it is opened.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.metadata import version
from typing import ClassVar, ParamSpec, TypeVar

from memory.engine import Page, Recollection
from memory.erasure.chunks import erase_user
from memory.facts.answering import facts_for, with_facts
from memory.facts.ledger import corrected
from memory.items.item import Item, Position
from memory.knowledge.base import KnowledgeBase
from memory.knowledge.document import Owner
from memory.opened import Opened, Threads
from memory.search import selector
from memory.search.encoder import Encoder, QueryVectors, load_encoder
from memory.search.searching import Query
from memory.search.selector import Judgement
from memory.search.selector_model import Kind, SelectorModel
from memory.settings import MemorySettings
from memory.sqlite.schema import StoreError
from memory.store import Truth, Vector
from services.runtime.config.settings import SettingsError
from services.runtime.engine import EngineInfo, Report
from services.runtime.errors import NotFound
from services.runtime.observing.logs import get_logger
from services.runtime.process.clock import unix_ms
from services.runtime.process.tasks import Tasks
from text.facts.extraction import EXTRACTOR

P = ParamSpec("P")
T = TypeVar("T")

_WORDS_ONLY = "words only"
_EXPORT_PAGE = 200
_CLOSE_TIMEOUT_S = 5.0
_WATCH_S = 2.0


class StoredMemory(ABC):
    """Stores the items of all users in a database."""

    name: ClassVar[str]
    """The name of the engine that callers see."""

    def __init__(self, settings: MemorySettings) -> None:
        self._settings = settings
        self._threads = Threads(settings.threads)
        self._opened: Opened | None = None
        # The exception is raised in the caller's own call.
        self._storing = Tasks("memory-remember", logged=False)

    def describe(self) -> EngineInfo:
        """Returns the description; its version includes the encoder, or that there is none."""
        return EngineInfo(
            name=self.name,
            version=f"{version('anima')} ({self.opened.model_id or _WORDS_ONLY})",
            licence="Apache-2.0",
        )

    @property
    def knowledge(self) -> KnowledgeBase | None:
        """The knowledge base, once the engine is open."""
        return None if self._opened is None else self._opened.library

    @property
    def opened(self) -> Opened:
        """The parts of the engine.

        Raises:
            RuntimeError: The engine is not open.
        """
        if self._opened is None:
            raise RuntimeError(f"the engine {self.name} is used before it is open")
        return self._opened

    async def open(self) -> None:
        """Loads the encoder and opens the database.

        Without the encoder's files the memory searches by words only and logs a warning.

        Raises:
            SettingsError: The database cannot be used, or the encoder's files are damaged.
        """
        try:
            encoder, model, store = await self._threads.reading.run(self._loaded)
        except StoreError as error:
            raise SettingsError(str(error)) from error
        self._opened = opened = Opened.assemble(
            self._settings, store, encoder, model, self._threads
        )
        get_logger().info(
            "memory opened", place=opened.store.place, encoder=opened.model_id or _WORDS_ONLY
        )
        for work in opened.background:
            work.start()

    def _loaded(self) -> tuple[Encoder | None, SelectorModel | None, Truth]:
        encoder = load_encoder(self._settings)
        model = SelectorModel.shipped("" if encoder is None else encoder.model_id)
        return None if encoder is None else QueryVectors(encoder), model, self._open_store()

    @abstractmethod
    def _open_store(self) -> Truth:
        """Opens the database; runs in a thread.

        Raises:
            StoreError: It cannot be used; the text states why, and names the setting.
        """

    async def close(self) -> None:
        """Stops the background work and closes the database."""
        if self._opened is not None:
            for work in self._opened.background:
                await work.stop()
            await self._storing.wait(timeout_s=_CLOSE_TIMEOUT_S)
            await self._storing.close()
            await self._threads.writing.run(self._opened.store.close)
        self._threads.close()

    async def watch(self, report: Report) -> None:
        """Reports that the files of the database were deleted or replaced."""
        reported = ""
        while True:
            problem = await self._threads.reading.run(self._problem)
            if problem != reported:
                reported = problem
                if problem:
                    get_logger().error("the memory cannot store", problem=problem)
                await report(problem)
            await asyncio.sleep(_WATCH_S)

    def _problem(self) -> str:
        try:
            self.opened.store.check_files()
        except (StoreError, OSError) as error:
            return str(error)
        return ""

    async def remember(
        self, user_id: str, items: Sequence[Item], *, said_unix_ns: int | None = None
    ) -> None:
        """Stores items; returns after the commit.

        They are stored even if the caller gives up in the meantime.
        """
        asked = time.time_ns() if said_unix_ns is None else said_unix_ns
        storing = self._store(user_id, items, asked)
        if len(self._storing) < self._settings.capacity:
            await asyncio.shield(self._storing.start(storing))
        else:  # limits the work left behind by callers that gave up
            await storing

    async def _store(self, user_id: str, items: Sequence[Item], said_unix_ns: int) -> None:
        await self._add(user_id, items, said_unix_ns=said_unix_ns)
        self.opened.distiller.wake()

    async def restore(self, user_id: str, items: Sequence[Item]) -> int:
        """Stores the items of an export; returns how many were new."""
        # Facts that the person ended or corrected must not be extracted from the turns again.
        return await self._add(user_id, items, distilled_by=EXTRACTOR)

    async def _add(
        self,
        user_id: str,
        items: Sequence[Item],
        *,
        distilled_by: str = "",
        said_unix_ns: int | None = None,
    ) -> int:
        vectors = await self._read(self._vectors_of_new, user_id, items)
        return await self._write(
            self.opened.store.add,
            user_id,
            items,
            vectors,
            self.opened.model_id,
            distilled_by=distilled_by,
            said_unix_ns=said_unix_ns,
        )

    def _vectors_of_new(self, user_id: str, items: Sequence[Item]) -> list[Vector | None]:
        vectors: list[Vector | None] = [None] * len(items)
        if self.opened.encoder is not None:
            known = self.opened.store.known_item_ids(user_id, [item.item_id for item in items])
            new = [at for at, item in enumerate(items) if item.item_id not in known]
            embedded = self.opened.encoder.embed([items[at].searched_text for at in new])
            for at, vector in zip(new, embedded, strict=True):
                vectors[at] = vector
        return vectors

    async def judge(self, query: str) -> Judgement:
        """Classifies what a query needs."""
        return await self._threads.reading.run(self._judged, query)

    def _judged(self, query: str) -> Judgement:
        vector = None if self.opened.encoder is None else self.opened.encoder.embed_query(query)
        return selector.judgement_of(query, vector, self.opened.selector_model)

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
        """Returns the items that match a query, best first."""
        judged = judgement or await self.judge(query)
        asked = Query(
            user_id=user_id,
            text=query,
            max_items=max_items,
            exclude_session_id=exclude_session_id,
            kinds=frozenset(kinds),
            include_past=include_past,
        )
        facts = await self._read(facts_for, self.opened.store, asked)
        if judged.is_small_talk and not facts:
            return Recollection(items=[], skipped=True)
        best, found = await self._read(self.opened.search.search, asked)
        found = with_facts(found, facts, max_items)
        if (
            not facts
            and found
            and not selector.fits(
                judged.words,
                best,
                by_words_alone=not self.opened.search.uses_vectors(user_id),
                judged_needless=judged.kind is Kind.NOTHING,
            )
        ):
            return Recollection(items=[], skipped=True)
        given = [recalled for recalled in found if recalled.score >= min_score]
        self.opened.uses.note(user_id, (one.item for one in given), unix_ms())
        return Recollection(items=given, skipped=False)

    async def pin(self, user_id: str, item_ids: Sequence[str], *, pinned: bool) -> int:
        """Pins or unpins facts and summaries, which protects them from decay."""
        return await self._write(self.opened.ledger.pin, user_id, item_ids, pinned=pinned)

    async def correct(self, user_id: str, item_id: str, value: str) -> Item | None:
        """Ends a fact and replaces it by the correct one."""
        wrong = await self._read(self.opened.ledger.fact, user_id, item_id)
        if wrong is None:
            raise NotFound(f"item_id: the user has no fact {item_id}")
        right = corrected(wrong, value) if value else None
        vector: Vector | None = None
        if right is not None and self.opened.encoder is not None:
            (vector,) = await self._read(self.opened.encoder.embed, [right.searched_text])
        await self._write(
            self.opened.ledger.correct,
            user_id,
            wrong,
            right,
            vector,
            self.opened.model_id,
        )
        return right

    async def list_items(
        self, user_id: str, *, after: Position | None, page_size: int, kinds: Sequence[int] = ()
    ) -> Page:
        """Lists items, newest first, starting after a position."""
        return await self._read(self._page, user_id, after, page_size, kinds)

    def _page(
        self, user_id: str, after: Position | None, page_size: int, kinds: Sequence[int]
    ) -> Page:
        rows = self.opened.store.slice(
            user_id, after=after, limit=page_size + 1, newest_first=True, kinds=kinds
        )
        page, more = rows[:page_size], len(rows) > page_size
        return Page(
            items=[item for _, item in page],
            next_position=page[-1][0] if more else None,
            total_count=self.opened.store.count(user_id, kinds),
        )

    async def forget_items(self, user_id: str, item_ids: Sequence[str]) -> int:
        """Erases items completely; returns how many existed."""
        return await self._forget(user_id, self.opened.store.forget_items, user_id, item_ids)

    async def forget_everything(self, user_id: str) -> int:
        """Erases all data of a user completely; returns the number of items."""
        return await self._forget(user_id, erase_user, self.opened.store, user_id)

    async def _forget(
        self, user_id: str, erase: Callable[P, int], *args: P.args, **kwargs: P.kwargs
    ) -> int:
        opened = self.opened
        try:
            return await opened.run(self._threads.erasing, erase, *args, **kwargs)
        finally:
            opened.indexes.drop(user_id)
            opened.library.drop(Owner(user_id=user_id))

    async def export(self, user_id: str) -> AsyncIterator[Item]:
        """Yields all data of a user, oldest first."""
        # In pages: a long-lived reader would keep erased text in the log file.
        after: Position | None = None
        while True:
            rows = await self._read(
                self.opened.store.slice,
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

    async def _read(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.opened.run(self._threads.reading, function, *args, **kwargs)

    async def _write(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.opened.run(self._threads.writing, function, *args, **kwargs)
