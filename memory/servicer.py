"""The gRPC service of the memory: validates requests and passes them to the engine."""

import time
from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc

from anima.memory import v1 as wire
from memory.engine import MemoryEngine
from memory.erasure.notes import MAX_AGE_MS
from memory.items.filling import MAX_ANSWER_BYTES, fitting, max_answer_bytes
from memory.items.paging import page_token, position_of
from memory.knowledge import calls as knowledge
from memory.knowledge.allowance import DocumentAllowance
from memory.knowledge.calls import KnowledgeCalls
from memory.search.recalling import recalled
from memory.service.messages import (
    MAX_TEXT_CHARS,
    MAX_VALUE_CHARS,
    checked_item,
    message_of,
)
from memory.settings import MemorySettings
from memory.sqlite.engine import SqliteMemory
from services.runtime.engine import watch_of
from services.runtime.engines import load_engine
from services.runtime.errors import InvalidRequest
from services.runtime.limits.progress import MAX_CALL_S, StreamLimits
from services.runtime.limits.rates import Rate
from services.runtime.process.clock import unix_ms
from services.runtime.server import Stage
from services.runtime.validation import (
    check_name,
    check_range,
    check_text,
    check_turn_id,
    cleaned_line,
)

SERVICE = "anima.memory.v1.MemoryService"

MAX_USER_ID_CHARS = 128
MAX_ITEMS = 100
MAX_RECALLED = 50
MAX_PAGE_SIZE = 500
DEFAULT_PAGE_SIZE = 50
MAX_ITEM_IDS = 1_000

_NO_ALLOWANCE = DocumentAllowance()

_Context = grpc.aio.ServicerContext[object, object]


def build(settings: MemorySettings) -> Stage:
    """Builds the memory service.

    Raises:
        SettingsError: There is no engine of the configured name.
    """
    if settings.engine == "sqlite":
        engine: MemoryEngine = SqliteMemory(settings)
    else:
        engine = cast(MemoryEngine, load_engine("memory", settings.engine, settings))
    servicer = MemoryServicer(
        engine,
        capacity=settings.capacity,
        max_answer_bytes=max_answer_bytes(settings.max_message_bytes),
        allowance=DocumentAllowance(
            documents=settings.documents_per_user, size_bytes=settings.document_bytes_per_user
        ),
        remembered_bytes_per_day=settings.remembered_bytes_per_day,
    )
    return Stage(
        service=SERVICE,
        add_to_server=lambda server: wire.add_MemoryServiceServicer_to_server(servicer, server),
        warm_up=engine.open,
        counted_methods=frozenset({"Remember", "Recall", "List", "Forget", "Pin", "Correct"})
        | knowledge.METHODS,
        limits={
            "Export": StreamLimits(unread_s=60.0, total_s=MAX_CALL_S, at_once=8),
            "Import": StreamLimits(
                silence_s=20.0,
                least_bytes_per_s=1024,
                unread_s=60.0,
                total_s=MAX_CALL_S,
                at_once=4,
            ),
            "AddDocument": knowledge.ADD_LIMITS,
        },
        close=engine.close,
        watch=watch_of(engine),
    )


class MemoryServicer(KnowledgeCalls):
    """Serves `anima.memory.v1.MemoryService`."""

    def __init__(
        self,
        engine: MemoryEngine,
        *,
        capacity: int,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        allowance: DocumentAllowance = _NO_ALLOWANCE,
        remembered_bytes_per_day: int = 0,
    ) -> None:
        super().__init__(
            lambda: engine.knowledge, max_answer_bytes=max_answer_bytes, allowance=allowance
        )
        self._remembered = Rate(
            remembered_bytes_per_day, per_s=86_400.0, limit="remembered_bytes", text="bytes a day"
        )
        self._engine = engine
        self._capacity = capacity

    async def Remember(  # noqa: N802
        self, request: wire.RememberRequest, context: _Context
    ) -> wire.RememberResponse:
        """Stores items and responds after the commit."""
        _check_user(request.user_id)
        if not 1 <= len(request.items) <= MAX_ITEMS:
            raise InvalidRequest(f"items: must be 1 to {MAX_ITEMS} items, got {len(request.items)}")
        check_range("age_ms", request.age_ms, 0, MAX_AGE_MS)
        now_unix_ns = time.time_ns()
        now_unix_ms = now_unix_ns // 1_000_000
        said_unix_ns = _said_unix_ns(request, now_unix_ns)
        items = [
            checked_item(f"items[{at}]", item, now_unix_ms) for at, item in enumerate(request.items)
        ]
        self._remembered.take(request.user_id, request.ByteSize())
        await self._engine.remember(request.user_id, items, said_unix_ns=said_unix_ns)
        return wire.RememberResponse(
            item_ids=[item.item_id for item in items], clock_unix_ns=time.time_ns()
        )

    async def Recall(  # noqa: N802
        self, request: wire.RecallRequest, context: _Context
    ) -> wire.RecallResponse:
        """Returns the items that match a text."""
        if request.user_id or not request.persona:
            _check_user(request.user_id)
        check_text("query", request.query, MAX_TEXT_CHARS)
        check_range("max_items", request.max_items, 0, MAX_RECALLED)
        check_range("min_score", request.min_score, 0, 1)
        if request.exclude_session_id:
            check_turn_id("exclude_session_id", request.exclude_session_id)
        kinds = _checked_kinds(request.kinds)
        return await recalled(self._engine, request, kinds, max_answer_bytes=self._max_answer_bytes)

    async def List(  # noqa: N802
        self, request: wire.ListRequest, context: _Context
    ) -> wire.ListResponse:
        """Lists items, newest first, in pages."""
        _check_user(request.user_id)
        check_range("page_size", request.page_size, 0, MAX_PAGE_SIZE)
        after = position_of(request.user_id, request.page_token) if request.page_token else None
        kinds = _checked_kinds(request.kinds)
        page_size = request.page_size or DEFAULT_PAGE_SIZE
        while True:
            page = await self._engine.list_items(
                request.user_id, after=after, page_size=page_size, kinds=kinds
            )
            items = [message_of(item) for item in page.items]
            page_size = len(fitting(items, self._max_answer_bytes))
            if page_size == len(items):
                break
        behind = page.next_position
        return wire.ListResponse(
            items=items,
            next_page_token="" if behind is None else page_token(request.user_id, behind),
            total_count=page.total_count,
        )

    async def Forget(  # noqa: N802
        self, request: wire.ForgetRequest, context: _Context
    ) -> wire.ForgetResponse:
        """Erases items, or all data of a user."""
        _check_user(request.user_id)
        what = request.WhichOneof("what")
        if what == "items":
            count = await self._engine.forget_items(
                request.user_id, _checked_ids("items.item_ids", request.items.item_ids)
            )
        elif what == "everything":
            if not request.everything:
                raise InvalidRequest("everything: must be true, or items must be set")
            count = await self._engine.forget_everything(request.user_id)
        else:
            raise InvalidRequest("what: items or everything must be set")
        return wire.ForgetResponse(forgotten_count=count, clock_unix_ns=time.time_ns())

    async def Export(  # noqa: N802
        self, request: wire.ExportRequest, context: _Context
    ) -> AsyncIterator[wire.ExportResponse]:
        """Streams all data of a user, oldest first."""
        _check_user(request.user_id)
        async for item in self._engine.export(request.user_id):
            yield wire.ExportResponse(item=message_of(item))

    async def Import(  # noqa: N802
        self, request_iterator: AsyncIterator[wire.ImportRequest], context: _Context
    ) -> wire.ImportResponse:
        """Stores the items of an export, including their facts."""
        user_id, received, stored = "", 0, 0
        now_unix_ms = unix_ms()
        async for request in request_iterator:
            if not user_id:
                _check_user(request.user_id)
                user_id = request.user_id
            if request.user_id not in ("", user_id):
                raise InvalidRequest("user_id: an import must be for a single user")
            if len(request.items) > MAX_ITEMS:
                raise InvalidRequest(
                    f"items: must be at most {MAX_ITEMS} items, got {len(request.items)}"
                )
            items = [
                checked_item(f"items[{at}]", item, now_unix_ms, with_fact=True)
                for at, item in enumerate(request.items)
            ]
            self._remembered.take(user_id, request.ByteSize())
            stored += await self._engine.restore(user_id, items)
            received += len(items)
        if not user_id:
            raise InvalidRequest("user_id: the import must have at least one message")
        return wire.ImportResponse(received_count=received, stored_count=stored)

    async def Pin(self, request: wire.PinRequest, context: _Context) -> wire.PinResponse:  # noqa: N802
        """Pins or unpins facts and summaries, which protects them from decay."""
        _check_user(request.user_id)
        item_ids = _checked_ids("item_ids", request.item_ids)
        count = await self._engine.pin(request.user_id, item_ids, pinned=request.pinned)
        return wire.PinResponse(pinned_count=count)

    async def Correct(  # noqa: N802
        self, request: wire.CorrectRequest, context: _Context
    ) -> wire.CorrectResponse:
        """Ends a fact and replaces it by the correct one."""
        _check_user(request.user_id)
        check_turn_id("item_id", request.item_id)
        value = ""
        if request.value:
            value = cleaned_line("value", request.value, MAX_VALUE_CHARS)
        right = await self._engine.correct(request.user_id, request.item_id, value)
        return wire.CorrectResponse(item=None if right is None else message_of(right))

    async def DescribeEngine(  # noqa: N802
        self, request: wire.DescribeEngineRequest, context: _Context
    ) -> wire.DescribeEngineResponse:
        """Returns the description of the engine."""
        return wire.DescribeEngineResponse(
            engine=self._engine.describe().message(capacity=self._capacity),
            clock_unix_ns=time.time_ns(),
        )


def _said_unix_ns(request: wire.RememberRequest, now_unix_ns: int) -> int:
    """Returns when the items of a request were said, by this clock, ns since 1970-01-01 UTC.

    From the age alone it is later than that by the time that the request has travelled.
    """
    if not request.said_unix_ns:
        return now_unix_ns - request.age_ms * 1_000_000
    check_range("said_unix_ns", request.said_unix_ns, now_unix_ns - MAX_AGE_MS * 1_000_000, 2**63)
    return min(request.said_unix_ns, now_unix_ns)


def _check_user(user_id: str) -> None:
    check_name("user_id", user_id, MAX_USER_ID_CHARS)


def _checked_ids(field: str, item_ids: Sequence[str]) -> list[str]:
    if not 1 <= len(item_ids) <= MAX_ITEM_IDS:
        raise InvalidRequest(f"{field}: must be 1 to {MAX_ITEM_IDS} ids, got {len(item_ids)}")
    for at, item_id in enumerate(item_ids):
        check_turn_id(f"{field}[{at}]", item_id)
    return list(item_ids)


def _checked_kinds(kinds: Sequence[int]) -> tuple[int, ...]:
    for at, kind in enumerate(kinds):
        if kind not in (wire.ITEM_KIND_TURN, wire.ITEM_KIND_FACT, wire.ITEM_KIND_SUMMARY):
            raise InvalidRequest(f"kinds[{at}]: unknown kind {kind}")
    return tuple(kinds)
