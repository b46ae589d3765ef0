"""A decoder process that answers nonsense, or not at all, fails those who wait for it."""

from __future__ import annotations

import asyncio
import sys

import pytest

from services.asr.processes.process import DecoderProcess
from services.runtime.errors import Unavailable


async def process_that(*steps: str) -> DecoderProcess:
    code = "; ".join(["import sys", "out = sys.stdout.buffer", *steps, "sys.stdin.buffer.read()"])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    return DecoderProcess(process)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "answer",
    [r"b'\x02\x00\x00\x00{]'", r"b'\x02\x00\x00\x00[]'", r"b'\xff\xff\xff\xff{}'"],
    ids=["no JSON", "no object", "endless"],
)
async def test_a_damaged_answer_fails_all_who_wait(answer: str) -> None:
    decoder = await process_that(f"out.write({answer})", "out.flush()")
    waiting = [decoder.request(b"F"), decoder.request(b"E")]
    for future in waiting:
        with pytest.raises(Unavailable, match="decoder process"):
            await future
    assert not decoder.alive
    with pytest.raises(Unavailable, match="decoder process"):
        await decoder.request(b"F")
    await decoder.close()
