"""Documents are read in a process with limits; if it breaks, nothing else does."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import closing

import psutil
import pytest
from tokenizers import Tokenizer

from memory.knowledge.document import File
from memory.knowledge.reader import MAX_CPU_S, MIN_CPU_S, Reader, cpu_s_for
from retrieval.embedding import Embedder
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import FailedPrecondition
from tests.documents import endless_pdf, pdf, word
from tests.requirements import need


def file(name: str, content: bytes) -> File:
    return File(name=name, source_uri=name, title="", sha256="", content=content)


FORK_SERVER = "services.runtime.sandbox.fork_server"
SLOW = file("slow.pdf", endless_pdf())


@pytest.fixture
def reader() -> Iterator[Reader]:
    with closing(Reader(tokenizer_json=None)) as reader:
        yield reader


def workers() -> list[psutil.Process]:
    # A mesh that other tests share is a child of this process too.
    servers = psutil.Process(os.getpid()).children()
    return [
        worker
        for server in servers
        if FORK_SERVER in server.cmdline()
        for worker in server.children()
    ]


async def test_a_document_that_computes_for_too_long_is_given_up() -> None:
    with closing(Reader(tokenizer_json=None, max_cpu_s=1)) as reader:
        with pytest.raises(
            FailedPrecondition,
            match=r"slow.pdf cannot be added: reading it takes more than the 1 s",
        ):
            await reader.read(SLOW)
        assert (await reader.read(file("a.txt", b"Text."))).passages[0].text == "Text."


async def test_a_document_that_takes_too_long_is_given_up() -> None:
    with closing(Reader(tokenizer_json=None, max_wall_s=0.5)) as reader:
        with pytest.raises(FailedPrecondition, match="reading it takes more than"):
            await reader.read(SLOW)
        assert not workers()


async def test_whoever_goes_away_takes_the_worker_along(reader: Reader) -> None:
    reading = asyncio.create_task(reader.read(SLOW))
    async with asyncio.timeout(90):
        while not workers():  # noqa: ASYNC110 - nothing tells of a process that begins
            await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not workers()


async def test_a_document_that_breaks_its_reader_breaks_nothing_else() -> None:
    with closing(Reader(tokenizer_json=None, job="testing.hostile.job")) as reader:
        for command, why in [
            ({"act": "segfault"}, "its parser failed: it seems to be damaged"),
            ({"act": "allocate"}, "it takes too much memory to read: split it"),
            ({"act": "read", "path": "/etc/passwd"}, "its parser failed"),
            ({"act": "refuse"}, "it is ugly"),
            ({"act": "answer", "header": {}, "bytes": 100}, "its parser failed"),
        ]:
            with pytest.raises(FailedPrecondition, match=f"a.txt cannot be added: {why}"):
                await reader.read(file("a.txt", json.dumps(command).encode()))


@pytest.mark.parametrize("encoding", ["shift_jis", "gbk", "big5", "euc-kr", "windows-1252"])
async def test_a_worker_knows_the_encodings_of_pages(reader: Reader, encoding: str) -> None:
    text = {"shift_jis": "日本語です", "gbk": "中文", "big5": "中文", "euc-kr": "한국어"}
    shown = text.get(encoding, "Grüße")
    page = f'<meta charset="{encoding}"><p>{shown}'.encode(encoding)
    assert (await reader.read(file("a.html", page))).passages[0].text == shown


async def test_every_kind_of_document_is_read_in_a_worker(reader: Reader) -> None:
    kinds = {
        "a.txt": "Text.".encode("utf-16"),
        "a.md": b"# Heading\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        "a.html": b"<h1>Heading</h1><p>Text.",
        "a.pdf": pdf(headings={1: "Heading"}, title="Title"),
        "a.docx": word(("Heading 1", "Heading"), ("Normal", "Text."), title="Title"),
    }
    for name, content in kinds.items():
        assert (await reader.read(file(name, content))).passages, name
    with pytest.raises(FailedPrecondition, match="it is encrypted"):
        await reader.read(file("a.pdf", pdf(password="secret")))


async def test_passages_fit_into_the_window_of_the_encoder() -> None:
    need("minilm")
    folder = ServiceSettings.from_environment().data_dir / "models" / "minilm-l6-v2"
    embedder = Embedder(folder)
    text = "The pool opens at nine. " * 400 + "泳池九点开门。" * 400
    with closing(Reader(tokenizer_json=embedder.tokenizer_json)) as reader:
        read = await reader.read(file("a.txt", text.encode()))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    counts = [len(tokenizer.encode(one.text).ids) for one in read.passages]
    assert max(counts) <= 202  # with the two tokens around each text
    assert sum(counts) / len(counts) > 150


async def test_a_word_document_without_styles_is_read(reader: Reader) -> None:
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(word(("Normal", "The office opens at nine.")))) as old,
        zipfile.ZipFile(content, "w") as new,
    ):
        for part in old.infolist():
            text = old.read(part)
            if part.filename == "word/_rels/document.xml.rels":
                text = re.sub(rb"<Relationship [^>]*/styles[^>]*/>", b"", text)
            if "styles" not in part.filename:
                new.writestr(part, text)
    read = await reader.read(file("a.docx", content.getvalue()))
    assert [one.text for one in read.passages] == ["The office opens at nine."]


async def test_pages_are_told_of_a_pdf(reader: Reader) -> None:
    read = await reader.read(file("a.pdf", pdf()))
    assert (read.media_type, read.page_count) == ("application/pdf", 3)
    assert [one.page for one in read.passages] == [1]


def test_a_small_document_may_take_less_time_than_a_large_one() -> None:
    small, middle, large = (cpu_s_for(int(mib * 2**20)) for mib in (0.1, 2, 32))
    assert MIN_CPU_S <= small < middle < large == MAX_CPU_S
    assert small <= 16
