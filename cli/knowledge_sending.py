"""Sends documents to the memory service."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final

from anima.memory import v1 as wire

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
    """Add a document; its bytes are sent only if the service does not hold them yet.

    Args:
        stub: The memory service.
        config: What document it is.
        content: The file.
        report: Told how far it is.

    Raises:
        grpc.aio.AioRpcError: The service refused it.
    """
    config.sha256 = hashlib.sha256(content).hexdigest()
    # A client that still writes while its call is refused would not learn why.
    wanted = asyncio.Event()

    async def requests() -> AsyncIterator[wire.AddDocumentRequest]:
        yield wire.AddDocumentRequest(config=config)
        await wanted.wait()
        for start in range(0, len(content), _PIECE_BYTES):
            yield wire.AddDocumentRequest(content=content[start : start + _PIECE_BYTES])

    added = wire.AddedDocument()
    call = stub.AddDocument(requests(), timeout=_TIMEOUT_S)
    async for response in call:
        if response.WhichOneof("event") == "added":
            added = response.added
            continue
        wanted.set()
        progress = response.progress
        if progress.phase == wire.DOCUMENT_PHASE_RECEIVING:
            progress.total = len(content)
        report(progress)
    return added
