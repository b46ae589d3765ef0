"""Documents are read in a process with limits; if it breaks, nothing else does."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest
from tokenizers import Tokenizer

from memory.knowledge.document import File
from memory.knowledge.reader import MAX_CPU_S, MIN_CPU_S, Reader, cpu_s_for
from retrieval.embedding import Embedder
from services.runtime.errors import FailedPrecondition
from services.runtime.settings import ServiceSettings
from tests.documents import endless_pdf, pdf
from tests.requirements import need


def file(name: str, content: bytes) -> File:
    return File(name=name, source_uri=name, title="", sha256="", content=content)


SLOW = file("slow.pdf", endless_pdf())


def children() -> set[psutil.Process]:
    return set(psutil.Process(os.getpid()).children())


async def test_a_document_that_computes_for_too_long_is_given_up() -> None:
    reader = Reader(tokenizer_json=None, max_cpu_s=1)
    with pytest.raises(
        FailedPrecondition, match=r"slow.pdf cannot be added: reading it takes more than the 1 s"
    ):
        await reader.read(SLOW)
    assert (await reader.read(file("a.txt", b"Text."))).passages[0].text == "Text."


async def test_a_document_that_takes_too_long_is_given_up() -> None:
    before = children()
    reader = Reader(tokenizer_json=None, max_wall_s=0.5)
    with pytest.raises(FailedPrecondition, match="reading it takes more than"):
        await reader.read(SLOW)
    assert children() <= before


async def test_whoever_goes_away_takes_the_reader_along() -> None:
    before = children()
    reading = asyncio.create_task(Reader(tokenizer_json=None).read(SLOW))
    async with asyncio.timeout(90):
        while children() <= before:  # noqa: ASYNC110 - nothing tells of a process that begins
            await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert children() <= before


async def test_passages_fit_into_the_window_of_the_encoder() -> None:
    need("minilm")
    folder = ServiceSettings.from_environment().data_dir / "models" / "minilm-l6-v2"
    embedder = Embedder(folder)
    text = "The pool opens at nine. " * 400 + "泳池九点开门。" * 400
    read = await Reader(tokenizer_json=embedder.tokenizer_json).read(file("a.txt", text.encode()))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    counts = [len(tokenizer.encode(one.text).ids) for one in read.passages]
    assert max(counts) <= 202  # with the two tokens around each text
    assert sum(counts) / len(counts) > 150


async def test_the_reader_knows_no_secret_of_the_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANIMA_TOKEN", "secret")
    before = children()
    reading = asyncio.create_task(Reader(tokenizer_json=None, max_cpu_s=2).read(SLOW))
    async with asyncio.timeout(90):
        environment: dict[str, str] = {}
        while not environment:
            await asyncio.sleep(0)
            environment = next((one.environ() for one in children() - before), {})
    assert "ANIMA_TOKEN" not in environment
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_pages_are_told_of_a_pdf() -> None:
    read = await Reader(tokenizer_json=None).read(file("a.pdf", pdf()))
    assert (read.media_type, read.page_count) == ("application/pdf", 3)
    assert [one.page for one in read.passages] == [1]


def test_a_small_document_may_take_less_time_than_a_large_one() -> None:
    small, middle, large = (cpu_s_for(int(mib * 2**20)) for mib in (0.1, 2, 32))
    assert MIN_CPU_S <= small < middle < large == MAX_CPU_S
    assert small <= 16
