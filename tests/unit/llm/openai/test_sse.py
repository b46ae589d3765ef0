"""Events of a response, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm.engines.openai.sse import EventStream
from testing.virtual_time import in_virtual_time
from tests.unit.llm.openai.model_server import chunk, event


class Pieces(httpx.AsyncByteStream):
    """A body that arrives in pieces, with a pause before each."""

    def __init__(self, pieces: Sequence[bytes], *, pause_s: float = 0.0) -> None:
        self._pieces = pieces
        self._pause_s = pause_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await asyncio.sleep(self._pause_s)
            yield piece


def read(pieces: Sequence[bytes], *, pause_s: float = 0.0) -> list[str]:
    async def main() -> list[str]:
        response = httpx.Response(200, stream=Pieces(pieces, pause_s=pause_s))
        return [data async for data in EventStream(response, limit_s=2.0).data()]

    return in_virtual_time(main)


@given(st.lists(st.text(), max_size=4), st.integers(1, 9))
@settings(deadline=None)
def test_events_are_found_however_they_are_cut(texts: list[str], size: int) -> None:
    data = b"".join(event(chunk(text)) for text in texts)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]

    assert len(read(pieces)) == len(texts)


def test_comments_and_events_without_data_are_passed_over() -> None:
    assert read([b": wait\n\n", b"id: 1\n\n", b"data: a\ndata: b\n\n"]) == ["a\nb"]


def test_comments_keep_a_slow_answer_alive() -> None:
    assert read([*[b": wait\n\n"] * 8, b"data: late\n\n"], pause_s=1.5) == ["late"]


def test_silence_is_not_waited_for() -> None:
    with pytest.raises(TimeoutError):
        read([b"data: never\n\n"], pause_s=2.5)
