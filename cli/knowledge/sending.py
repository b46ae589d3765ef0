"""Sends documents to the memory service."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import grpc

from anima.memory import v1 as wire
from services.runtime.errors import Unavailable
from services.runtime.process.tasks import beside

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

_PIECE_BYTES: Final = 256 * 1024
_TIMEOUT_S: Final = 900.0


async def send(
    stub: MemoryServiceAsyncStub,
    config: wire.DocumentConfig,
    content: bytes,
    report: Callable[[wire.DocumentProgress], None],
) -> wire.AddedDocument:
    """Adds a document; its bytes are sent only if the service has not stored them yet.

    Args:
        stub: The memory service.
        config: The description of the document.
        content: The file.
        report: Called with the progress.

    Raises:
        grpc.aio.AioRpcError: The service rejected it.
        Unavailable: The service ended before it had stored the document.
    """
    config.sha256 = hashlib.sha256(content).hexdigest()
    call: Any = stub.AddDocument(timeout=_TIMEOUT_S)
    added: wire.AddedDocument | None = None
    opened = asyncio.Event()
    # The reader gets the reason why the call ended.
    with contextlib.suppress(asyncio.InvalidStateError):
        await call.write(wire.AddDocumentRequest(config=config))
    async with beside(_send(call, content, opened), name="upload"):
        async for response in call:
            if response.HasField("added"):
                added = response.added
                continue
            # A client that writes while its call is rejected does not get the reason.
            opened.set()
            if response.progress.phase == wire.DOCUMENT_PHASE_RECEIVING:
                response.progress.total = len(content)
            report(response.progress)
    if added is None:
        raise Unavailable("memory ended in the middle of its work")
    return added


async def _send(call: Any, content: bytes, opened: asyncio.Event) -> None:
    await opened.wait()
    # Writes to an ended stream fail in several ways; the reader gets the reason.
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        for start in range(0, len(content), _PIECE_BYTES):
            await call.write(wire.AddDocumentRequest(content=content[start : start + _PIECE_BYTES]))
        await call.done_writing()
