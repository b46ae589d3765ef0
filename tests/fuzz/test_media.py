"""Recordings, photos and documents, damaged, in front of the decoders of the mesh."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import grpc
import httpx
import pytest

from anima.memory import v1 as memory
from tests.fuzz.conftest import Fuzzed
from tests.fuzz.files import File, uploads
from tests.fuzz.rounds import FIXED_SEED, one_round, seeds
from tests.fuzz.write_corpus import CORPUS

# The first test also waits for the mesh.
pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

HANG_S = 120.0
MOST_CORPUS_BYTES = 32 * 1024
BUSY = (429, 503)
FAULTS = (
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)
Seen = Counter[tuple[str, str]]


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.iterdir()) < MOST_CORPUS_BYTES


async def post(fuzzed: Fuzzed, path: str, field: str, file: File, **form: str) -> str:
    """Sends a file in a form; returns the status."""
    async with httpx.AsyncClient(timeout=HANG_S, trust_env=False, verify=False) as client:
        answer = await client.post(
            f"http://{fuzzed.mesh.http_address}{path}",
            files={field: (file.name, file.data)},
            data=form,
        )
    assert answer.status_code < 500 or answer.status_code in BUSY, f"{answer.text}: {file!r}"
    return str(answer.status_code)


async def add(fuzzed: Fuzzed, file: File) -> str:
    """Adds a document; returns the status."""
    stub: Any = memory.MemoryServiceStub(fuzzed.channels["memory"])
    config = memory.DocumentConfig(
        owner=memory.KnowledgeOwner(user_id="fuzz-files"), file_name=file.name
    )
    requests = [memory.AddDocumentRequest(config=config)]
    if file.data:
        requests.append(memory.AddDocumentRequest(content=file.data))
    call = stub.AddDocument(iter(requests), timeout=HANG_S)
    with suppress(grpc.aio.AioRpcError):
        async for _ in call:
            pass
    code = await call.code()
    assert code not in FAULTS, f"{code.name} {await call.details()}: {file!r}"
    return str(code.name)


def upload(fuzzed: Fuzzed, drawn: tuple[str, File], seen: Seen) -> None:
    kind, file = drawn
    if kind == "tone":
        sending = post(fuzzed, "/v1/ask?format=json", "audio", file)
    elif kind == "photo":
        consent = "A picture that a test has drawn."
        sending = post(
            fuzzed, "/v1/avatars", "photo", file, name="fuzz", consent=consent, replace="true"
        )
    else:
        sending = add(fuzzed, file)
    seen[kind, fuzzed.runner.run(sending)] += 1


def test_files(fuzzed: Fuzzed) -> None:
    seen: Seen = Counter()
    one_round(lambda drawn: upload(fuzzed, drawn, seen), uploads(), examples=40, number=FIXED_SEED)
    assert {kind for kind, _ in seen} == {"tone", "photo", "notes"}
    assert seen["notes", "OK"] > 0
    assert fuzzed.watch.faults() == []


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_files_for_minutes(fuzzed: Fuzzed) -> None:
    seen: Seen = Counter()
    for number in seeds(share=0.15):
        one_round(lambda drawn: upload(fuzzed, drawn, seen), uploads(), examples=100, number=number)
        assert fuzzed.watch.faults() == [], f"seed {number}"
    assert {kind for kind, _ in seen} == {"tone", "photo", "notes"}
