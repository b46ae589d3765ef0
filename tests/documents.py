"""Makes documents: PDF, DOCX, and the stream that adds one."""

from __future__ import annotations

import io
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

import docx
from pypdf import PdfReader, PdfWriter

from anima.memory import v1 as wire

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

HANDBOOK = (
    ["Welcome to Brightwater Ltd.", "This handbook says how we work together."],
    ["Each employee gets 27 days of paid holiday per year.", "Holiday is booked in the portal."],
    ["The office in Graz is open from seven in the morning.", "Guests register at the desk."],
)
HEADINGS = {1: "Welcome", 2: "Holidays", 3: "Office hours"}


def pdf(
    pages: Sequence[Sequence[str]] = HANDBOOK,
    *,
    title: str = "",
    headings: Mapping[int, str] | None = None,
    password: str = "",
) -> bytes:
    """Makes a PDF of lines of Latin text."""
    writer = PdfWriter(PdfReader(io.BytesIO(_bare_pdf(pages))))
    if title:
        writer.add_metadata({"/Title": title})
    for page, heading in (headings or {}).items():
        writer.add_outline_item(title=heading, page_number=page - 1)
    if password:
        writer.encrypt(password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _bare_pdf(pages: Sequence[Sequence[str]]) -> bytes:
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for at, lines in enumerate(pages):
        shown = "".join(f"({line}) Tj 0 -20 Td " for line in lines)
        content = f"BT /F1 12 Tf 72 720 Td {shown}ET".encode("latin-1")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * at} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content))
    return _file_of(objects)


def _file_of(objects: Sequence[bytes]) -> bytes:
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    count = len(objects) + 1
    return (
        out
        + b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<< /Size %d /Root 1 0 R >>\n"
        % (*(count, table, count),)
        + b"startxref\n%d\n%%%%EOF\n" % len(out)
    )


def endless_pdf() -> bytes:
    """Makes a PDF of some KB that takes many minutes to read: its pages share one long stream."""
    content = zlib.compress(b"BT /F1 12 Tf " + b"(a) Tj " * 50_000 + b"ET", 9)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%b] /Count 1000 >>" % (b"4 0 R " * 1_000),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R"
        b" /Resources << /Font << /F1 3 0 R >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream" % (len(content), content),
    ]
    return _file_of(objects)


def word(*parts: tuple[str, str] | Sequence[Sequence[str]], title: str = "") -> bytes:
    """Makes a DOCX of (style, text) and of tables, which are rows of cells."""
    document = docx.Document()
    document.core_properties.title = title
    for part in parts:
        if isinstance(part, tuple):
            style, text = part
            document.add_paragraph(text, style=style)
            continue
        table = document.add_table(rows=len(part), cols=len(part[0]))
        for row, cells in zip(table.rows, part, strict=True):
            for cell, text in zip(row.cells, cells, strict=True):
                cell.text = text
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


async def added(
    memory: MemoryServiceAsyncStub,
    owner: wire.KnowledgeOwner,
    file_name: str,
    content: bytes,
    *,
    title: str = "",
    source_uri: str = "",
    sha256: str = "",
) -> tuple[wire.AddedDocument, list[wire.DocumentProgress]]:
    """Adds a document; returns the result and the progress reports."""
    config = wire.DocumentConfig(
        owner=owner, file_name=file_name, title=title, source_uri=source_uri, sha256=sha256
    )

    async def requests() -> AsyncIterator[wire.AddDocumentRequest]:
        yield wire.AddDocumentRequest(config=config)
        for start in range(0, len(content), 1 << 20):
            yield wire.AddDocumentRequest(content=content[start : start + (1 << 20)])

    progress: list[wire.DocumentProgress] = []
    result = wire.AddedDocument()
    async for response in memory.AddDocument(requests()):
        if response.WhichOneof("event") == "added":
            result = response.added
        else:
            progress.append(response.progress)
    return result, progress
