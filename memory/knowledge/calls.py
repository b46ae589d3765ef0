"""The knowledge calls of the memory service: validates requests and passes them on."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import grpc

from anima.memory import v1 as wire
from memory.items.filling import Room, fitting
from memory.knowledge.allowance import DocumentAllowance
from memory.knowledge.base import KnowledgeBase
from memory.knowledge.document import Added, File, Progress
from memory.knowledge.messages import (
    MAX_TEXT_CHARS,
    checked_owner,
    checked_passage,
    document_message,
    found_message,
    passage_message,
)
from memory.knowledge.paging import page_token, position_of
from memory.knowledge.receiving import Receiver
from memory.knowledge.uris import without_user_info
from services.runtime.calls.streams import open_stream
from services.runtime.errors import InvalidRequest
from services.runtime.limits.progress import MAX_CALL_S, StreamLimits
from services.runtime.validation import check_range, check_text, check_turn_id, cleaned_line
from text.cleaning import clean_line

MAX_FILE_NAME_CHARS: Final = 255
MAX_URI_CHARS: Final = 2_000
MAX_TITLE_CHARS: Final = 200
MAX_PASSAGES: Final = 100
MAX_PASSAGE_IDS: Final = 1_000
MAX_FOUND: Final = 50
DEFAULT_FOUND: Final = 5
MAX_PAGE_SIZE: Final = 500
DEFAULT_PAGE_SIZE: Final = 100
ADD_LIMITS: Final = StreamLimits(
    silence_s=10.0,
    least_bytes_per_s=32 * 1024,
    upload_s=300.0,
    unread_s=60.0,
    total_s=MAX_CALL_S,
    at_once=4,  # each may contain a file of 32 MiB
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

Context = grpc.aio.ServicerContext[object, object]

METHODS: Final = frozenset(
    {
        "ListDocuments",
        "GetDocument",
        "RemoveDocument",
        "PutPassages",
        "GetPassages",
        "RemovePassages",
        "SearchKnowledge",
    }
)


class KnowledgeCalls(wire.MemoryServiceServicer):
    """Serves the calls of `anima.memory.v1.MemoryService` that concern knowledge."""

    def __init__(
        self,
        knowledge: Callable[[], KnowledgeBase | None],
        *,
        max_answer_bytes: int,
        allowance: DocumentAllowance,
    ) -> None:
        """Creates the calls.

        Args:
            knowledge: Returns the engine's knowledge base, which exists once the engine is open.
            max_answer_bytes: The size of lists in an answer.
            allowance: How many documents a user may have.
        """
        self._held = knowledge
        self._max_answer_bytes = max_answer_bytes
        self._allowance = allowance

    async def _knowledge(self, context: Context) -> KnowledgeBase:
        knowledge = self._held()
        if knowledge is None:
            await context.abort(
                grpc.StatusCode.UNIMPLEMENTED, "this memory engine has no knowledge base"
            )
        assert knowledge is not None  # noqa: S101 - abort() raises, but its type lacks that
        return knowledge

    async def AddDocument(  # noqa: N802
        self, request_iterator: AsyncIterator[wire.AddDocumentRequest], context: Context
    ) -> AsyncIterator[wire.AddDocumentResponse]:
        """Receives, reads and stores a document."""
        config, requests = await open_stream(request_iterator)
        _check_config(config)
        owner = checked_owner(config.owner)
        knowledge = await self._knowledge(context)
        file_name, title = clean_line(config.file_name), clean_line(config.title)
        source_uri = without_user_info(clean_line(config.source_uri)) or file_name
        if config.sha256:
            held = await knowledge.held(owner, source_uri, config.sha256, title)
            if held is not None:
                yield _event(Added(document=held, change=wire.DOCUMENT_CHANGE_NONE))
                return
        await self._allowance.check(knowledge, owner)
        yield _event(Progress(phase=wire.DOCUMENT_PHASE_RECEIVING))
        receiver = Receiver(requests)
        async for progress in receiver.pieces():
            yield _event(progress)
        content, sha256 = await asyncio.to_thread(receiver.content)
        if config.sha256 not in ("", sha256):
            raise InvalidRequest("config.sha256: does not match the content")
        file = File(
            name=file_name,
            source_uri=source_uri,
            title=title,
            sha256=sha256,
            content=content,
        )
        async for event in knowledge.add(owner, file):
            yield _event(event)

    async def ListDocuments(  # noqa: N802
        self, request: wire.ListDocumentsRequest, context: Context
    ) -> wire.ListDocumentsResponse:
        """Lists documents by title, in pages."""
        owner = checked_owner(request.owner)
        check_range("page_size", request.page_size, 0, MAX_PAGE_SIZE)
        knowledge = await self._knowledge(context)
        after = position_of(owner, request.page_token) if request.page_token else None
        page_size = request.page_size or DEFAULT_PAGE_SIZE
        while True:
            page = await knowledge.documents(owner, after=after, page_size=page_size)
            documents = [document_message(one) for one in page.documents]
            page_size = len(fitting(documents, self._max_answer_bytes))
            if page_size == len(documents):
                break
        behind = page.next_position
        return wire.ListDocumentsResponse(
            documents=documents,
            next_page_token="" if behind is None else page_token(owner, behind),
            total_count=page.total_count,
        )

    async def GetDocument(  # noqa: N802
        self, request: wire.GetDocumentRequest, context: Context
    ) -> wire.GetDocumentResponse:
        """Returns a document with its passages."""
        owner = checked_owner(request.owner)
        check_turn_id("document_id", request.document_id)
        check_range("max_passages", request.max_passages, 0, MAX_PAGE_SIZE)
        document, passages = await (await self._knowledge(context)).document(
            owner,
            request.document_id,
            first_passage=request.first_passage or 1,
            max_passages=request.max_passages,
        )
        given = fitting(map(passage_message, passages), self._max_answer_bytes)
        return wire.GetDocumentResponse(
            document=document_message(document),
            passages=given,
            next_passage=passages[len(given)].number if len(given) < len(passages) else 0,
        )

    async def RemoveDocument(  # noqa: N802
        self, request: wire.RemoveDocumentRequest, context: Context
    ) -> wire.RemoveDocumentResponse:
        """Erases a document with all its passages."""
        owner = checked_owner(request.owner)
        check_turn_id("document_id", request.document_id)
        count = await (await self._knowledge(context)).remove(owner, request.document_id)
        return wire.RemoveDocumentResponse(passage_count=count)

    async def PutPassages(  # noqa: N802
        self, request: wire.PutPassagesRequest, context: Context
    ) -> wire.PutPassagesResponse:
        """Stores passages that belong to no document."""
        owner = checked_owner(request.owner)
        if not 1 <= len(request.passages) <= MAX_PASSAGES:
            raise InvalidRequest(
                f"passages: must be 1 to {MAX_PASSAGES} passages, got {len(request.passages)}"
            )
        passages = [
            checked_passage(f"passages[{at}]", one) for at, one in enumerate(request.passages)
        ]
        await (await self._knowledge(context)).put_passages(owner, passages)
        return wire.PutPassagesResponse(passage_ids=[one.passage_id for one in passages])

    async def GetPassages(  # noqa: N802
        self, request: wire.GetPassagesRequest, context: Context
    ) -> wire.GetPassagesResponse:
        """Returns passages by their ids."""
        owner = checked_owner(request.owner)
        passage_ids = _checked_ids(request.passage_ids)
        passages = await (await self._knowledge(context)).passages(owner, passage_ids)
        given = fitting(map(passage_message, passages), self._max_answer_bytes)
        return wire.GetPassagesResponse(
            passages=given,
            omitted_passage_ids=[one.passage_id for one in passages[len(given) :]],
        )

    async def RemovePassages(  # noqa: N802
        self, request: wire.RemovePassagesRequest, context: Context
    ) -> wire.RemovePassagesResponse:
        """Erases passages that belong to no document."""
        owner = checked_owner(request.owner)
        passage_ids = _checked_ids(request.passage_ids)
        count = await (await self._knowledge(context)).remove_passages(owner, passage_ids)
        return wire.RemovePassagesResponse(removed_count=count)

    async def SearchKnowledge(  # noqa: N802
        self, request: wire.SearchKnowledgeRequest, context: Context
    ) -> wire.SearchKnowledgeResponse:
        """Returns the passages that match a text best."""
        owner = checked_owner(request.owner)
        check_text("query", request.query, MAX_TEXT_CHARS)
        check_range("max_passages", request.max_passages, 0, MAX_FOUND)
        check_range("min_score", request.min_score, 0, 1)
        found = await (await self._knowledge(context)).search(
            owner,
            request.query,
            max_passages=request.max_passages or DEFAULT_FOUND,
            min_score=request.min_score,
        )
        given = Room(self._max_answer_bytes).fill(map(found_message, found))
        return wire.SearchKnowledgeResponse(passages=given, omitted_count=len(found) - len(given))


def _check_config(config: wire.DocumentConfig) -> None:
    cleaned_line("config.file_name", config.file_name, MAX_FILE_NAME_CHARS)
    cleaned_line("config.source_uri", config.source_uri, MAX_URI_CHARS, min_chars=0)
    cleaned_line("config.title", config.title, MAX_TITLE_CHARS, min_chars=0)
    if config.sha256 and not _SHA256.fullmatch(config.sha256):
        raise InvalidRequest("config.sha256: must be 64 digits of [0-9a-f]")


def _checked_ids(passage_ids: Sequence[str]) -> list[str]:
    if not 1 <= len(passage_ids) <= MAX_PASSAGE_IDS:
        raise InvalidRequest(
            f"passage_ids: must be 1 to {MAX_PASSAGE_IDS} ids, got {len(passage_ids)}"
        )
    for at, passage_id in enumerate(passage_ids):
        check_turn_id(f"passage_ids[{at}]", passage_id)
    return list(passage_ids)


def _event(event: Progress | Added) -> wire.AddDocumentResponse:
    if isinstance(event, Added):
        return wire.AddDocumentResponse(
            added=wire.AddedDocument(document=document_message(event.document), change=event.change)
        )
    return wire.AddDocumentResponse(
        progress=wire.DocumentProgress(phase=event.phase, done=event.done, total=event.total)
    )
