"""Documents that cost others their memory or a reader for minutes (A4, A11)."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import grpc
import pytest

from anima.memory import v1 as memory
from tests.attack.attacked import MIB, Attacked, until_it_works

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(600)]

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
MOST_PASSAGE_CHARS = 8_000


def docx(paragraphs: int) -> bytes:
    """Returns a Word file of many tiny paragraphs."""
    body = "<w:p><w:r><w:t>a b</w:t></w:r></w:p>" * paragraphs
    parts = {
        "[Content_Types].xml": (
            f'<Types xmlns="{PACKAGE}/content-types">'
            '<Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{MAIN}"/></Types>'
        ),
        "_rels/.rels": (
            f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
            f'Type="{OFFICE}/relationships/officeDocument" Target="word/document.xml"/>'
            "</Relationships>"
        ),
        "word/document.xml": (f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for name, text in parts.items():
            package.writestr(name, f'<?xml version="1.0"?>{text}')
    return file.getvalue()


async def add(stub: Any, owner: memory.KnowledgeOwner, file_name: str, data: bytes) -> str:
    """Adds a document; returns its id, or the reason why it was refused."""
    call = stub.AddDocument()
    config = memory.DocumentConfig(owner=owner, file_name=file_name)
    await call.write(memory.AddDocumentRequest(config=config))
    try:
        await call.read()
        for first in range(0, len(data), MIB):
            await call.write(memory.AddDocumentRequest(content=data[first : first + MIB]))
        await call.done_writing()
        while (event := await call.read()) is not grpc.aio.EOF:
            if event.WhichOneof("event") == "added":
                return str(event.added.document.document_id)
    except (grpc.aio.AioRpcError, grpc.aio.UsageError, ValueError):
        pass
    return f"refused: {(await call.code()).name}: {await call.details()}"


async def test_a_word_of_megabytes_takes_nothing_from_others(open_mesh: Attacked) -> None:
    persona = memory.KnowledgeOwner(persona="long-word")
    opening = b"The opening hours of the museum are "
    async with open_mesh.channel("memory") as channel:
        stub: Any = memory.MemoryServiceStub(channel)
        await add(stub, persona, "good.txt", opening + b"nine to five on weekdays.")
        await add(stub, persona, "bad.txt", opening + b"a" * (9 * MIB))
        recalled = await stub.Recall(
            memory.RecallRequest(
                user_id="somebody",
                persona="long-word",
                query="What are the opening hours of the museum?",
                max_passages=50,
            )
        )
        found = await stub.SearchKnowledge(
            memory.SearchKnowledgeRequest(
                owner=persona, query="opening hours of the museum", max_passages=50
            )
        )
    passages = [each.passage.text for each in (*recalled.passages, *found.passages)]
    assert any("nine to five" in text for text in passages)
    assert max(map(len, passages)) <= MOST_PASSAGE_CHARS


@pytest.mark.parametrize(
    ("file_name", "data"),
    [
        ("paragraphs.docx", docx(1_000_000)),
        ("brackets.md", b"[" * 200_000),
        ("emphasis.md", b"*a **a " * 100_000),
        ("quotes.md", b">" * 100_000 + b" x"),
        ("words.txt", b"word " * 1_980_000),
        ("nested.html", b"<div>" * 200_000 + b"x"),
        ("attributes.html", b"<p " + b"a=1 " * 2_000_000 + b">text</p>"),
        ("accents.txt", ("e" + "\u0301" * 2_000_000).encode()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_documents_that_are_hard_to_read(
    open_mesh: Attacked, file_name: str, data: bytes
) -> None:
    async with open_mesh.channel("memory") as channel:
        stub: Any = memory.MemoryServiceStub(channel)
        used_s = processor_time_s(open_mesh)
        outcome = await add(stub, memory.KnowledgeOwner(user_id="reader"), file_name, data)
        # A reader has a minute of processor time at most, whatever the document is.
        assert processor_time_s(open_mesh) - used_s < 60, outcome

        async def another() -> str:
            owner = memory.KnowledgeOwner(user_id="other-reader")
            return await add(stub, owner, "plain.txt", b"The office opens at nine.")

        assert not (await until_it_works(another)).startswith("refused")
        listed = (
            await stub.GetDocument(
                memory.GetDocumentRequest(
                    owner=memory.KnowledgeOwner(user_id="reader"),
                    document_id=outcome,
                    max_passages=100,
                )
            )
            if not outcome.startswith("refused")
            else None
        )
        if listed is not None:
            assert max(len(passage.text) for passage in listed.passages) <= MOST_PASSAGE_CHARS


def processor_time_s(mesh: Attacked) -> float:
    """Returns the processor time of the memory service and of the readers that have ended."""
    times = mesh.process("memory").cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
