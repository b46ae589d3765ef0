"""The memory service on the wire: checks requests and hands them to the engine."""

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc

from anima.memory import v1 as wire
from memory.engine import MemoryEngine
from memory.item import Item, RecalledItem
from memory.paging import page_token, position_of
from memory.settings import MemorySettings
from memory.sqlite_engine import SqliteMemory
from services.runtime.engines import load_engine
from services.runtime.errors import InvalidRequest
from services.runtime.server import Stage
from services.runtime.validation import check_range, check_text, check_turn_id

SERVICE = "anima.memory.v1.MemoryService"

MAX_USER_ID_CHARS = 128
MAX_ITEMS = 100
MAX_NAME_CHARS = 64
MAX_TEXT_CHARS = 8_000
MAX_RECALLED = 50
DEFAULT_RECALLED = 5
MAX_PAGE_SIZE = 500
DEFAULT_PAGE_SIZE = 50
MAX_FORGOTTEN_IDS = 1_000
# 9999-12-31T23:59:59.999Z
MAX_UNIX_MS = 253_402_300_799_999

_Context = grpc.aio.ServicerContext[object, object]


def build(settings: MemorySettings) -> Stage:
    """Makes the memory service.

    Raises:
        SettingsError: No engine has the name that is set.
    """
    if settings.engine == "sqlite":
        engine: MemoryEngine = SqliteMemory(settings)
    else:
        engine = cast(MemoryEngine, load_engine("memory", settings.engine, settings))
    servicer = MemoryServicer(engine)
    return Stage(
        service=SERVICE,
        add_to_server=lambda server: wire.add_MemoryServiceServicer_to_server(servicer, server),
        warm_up=engine.open,
        counted_methods=frozenset({"Remember", "Recall", "List", "Forget", "Export"}),
        close=engine.close,
    )


class MemoryServicer(wire.MemoryServiceServicer):
    """Serves `anima.memory.v1.MemoryService`."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine

    async def Remember(  # noqa: N802
        self, request: wire.RememberRequest, context: _Context
    ) -> wire.RememberResponse:
        """Stores items and answers after the commit."""
        _check_user(request.user_id)
        if not 1 <= len(request.items) <= MAX_ITEMS:
            raise InvalidRequest(f"items: {len(request.items)} are not 1 to {MAX_ITEMS}")
        now_unix_ms = time.time_ns() // 1_000_000
        items = [
            _checked_item(f"items[{at}]", item, now_unix_ms)
            for at, item in enumerate(request.items)
        ]
        await self._engine.remember(request.user_id, items)
        return wire.RememberResponse(item_ids=[item.item_id for item in items])

    async def Recall(  # noqa: N802
        self, request: wire.RecallRequest, context: _Context
    ) -> wire.RecallResponse:
        """Finds what fits a text."""
        _check_user(request.user_id)
        check_text("query", request.query, MAX_TEXT_CHARS)
        check_range("max_items", request.max_items, 0, MAX_RECALLED)
        check_range("min_score", request.min_score, 0, 1)
        if request.exclude_session_id:
            check_turn_id("exclude_session_id", request.exclude_session_id)
        recollection = await self._engine.recall(
            request.user_id,
            request.query,
            max_items=request.max_items or DEFAULT_RECALLED,
            min_score=request.min_score,
            exclude_session_id=request.exclude_session_id,
        )
        return wire.RecallResponse(
            items=[_recalled_message(recalled) for recalled in recollection.items],
            skipped=recollection.skipped,
        )

    async def List(  # noqa: N802
        self, request: wire.ListRequest, context: _Context
    ) -> wire.ListResponse:
        """Lists items, newest first, in pages."""
        _check_user(request.user_id)
        check_range("page_size", request.page_size, 0, MAX_PAGE_SIZE)
        after = position_of(request.user_id, request.page_token) if request.page_token else None
        page = await self._engine.list_items(
            request.user_id, after=after, page_size=request.page_size or DEFAULT_PAGE_SIZE
        )
        behind = page.next_position
        return wire.ListResponse(
            items=[_message(item) for item in page.items],
            next_page_token="" if behind is None else page_token(request.user_id, behind),
            total_count=page.total_count,
        )

    async def Forget(  # noqa: N802
        self, request: wire.ForgetRequest, context: _Context
    ) -> wire.ForgetResponse:
        """Erases items, or everything about a user."""
        _check_user(request.user_id)
        what = request.WhichOneof("what")
        if what == "items":
            count = await self._engine.forget_items(
                request.user_id, _checked_ids(request.items.item_ids)
            )
        elif what == "everything":
            if not request.everything:
                raise InvalidRequest("everything: must be true, or items must be set")
            count = await self._engine.forget_everything(request.user_id)
        else:
            raise InvalidRequest("what: neither items nor everything is set")
        return wire.ForgetResponse(forgotten_count=count)

    async def Export(  # noqa: N802
        self, request: wire.ExportRequest, context: _Context
    ) -> AsyncIterator[wire.ExportResponse]:
        """Streams everything that is held about a user, oldest first."""
        _check_user(request.user_id)
        async for item in self._engine.export(request.user_id):
            yield wire.ExportResponse(item=_message(item))

    async def DescribeEngine(  # noqa: N802
        self, request: wire.DescribeEngineRequest, context: _Context
    ) -> wire.DescribeEngineResponse:
        """Says what the engine is."""
        return wire.DescribeEngineResponse(engine=self._engine.describe())


def _check_user(user_id: str) -> None:
    check_text("user_id", user_id, MAX_USER_ID_CHARS)


def _checked_item(field: str, item: wire.Item, now_unix_ms: int) -> Item:
    check_text(f"{field}.text", item.text, MAX_TEXT_CHARS)
    for name in ("item_id", "session_id", "turn_id"):
        value = getattr(item, name)
        if value:
            check_turn_id(f"{field}.{name}", value)
    if item.kind not in wire.ItemKind.values():
        raise InvalidRequest(f"{field}.kind: {item.kind} is not known")
    if item.speaker not in wire.Speaker.values():
        raise InvalidRequest(f"{field}.speaker: {item.speaker} is not known")
    check_range(f"{field}.created_unix_ms", item.created_unix_ms, 0, MAX_UNIX_MS)
    if item.speaker_name:
        check_text(f"{field}.speaker_name", item.speaker_name, MAX_NAME_CHARS)
    return Item(
        item_id=item.item_id or uuid.uuid4().hex,
        kind=item.kind or wire.ITEM_KIND_TURN,
        speaker=item.speaker,
        text=item.text,
        session_id=item.session_id,
        turn_id=item.turn_id,
        created_unix_ms=item.created_unix_ms or now_unix_ms,
        speaker_name=item.speaker_name,
    )


def _checked_ids(item_ids: Sequence[str]) -> list[str]:
    if not 1 <= len(item_ids) <= MAX_FORGOTTEN_IDS:
        raise InvalidRequest(f"items.item_ids: {len(item_ids)} are not 1 to {MAX_FORGOTTEN_IDS}")
    for at, item_id in enumerate(item_ids):
        check_turn_id(f"items.item_ids[{at}]", item_id)
    return list(item_ids)


def _message(item: Item) -> wire.Item:
    return wire.Item(
        item_id=item.item_id,
        kind=cast(wire.ItemKind.ValueType, item.kind),
        speaker=cast(wire.Speaker.ValueType, item.speaker),
        text=item.text,
        session_id=item.session_id,
        turn_id=item.turn_id,
        created_unix_ms=item.created_unix_ms,
        speaker_name=item.speaker_name,
    )


def _recalled_message(recalled: RecalledItem) -> wire.RecalledItem:
    return wire.RecalledItem(
        item=_message(recalled.item),
        score=recalled.score,
        vector_score=recalled.vector_score,
        lexical_score=recalled.lexical_score,
    )
