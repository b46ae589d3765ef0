"""Strategies for damaged files: each begins with a sample of the corpus."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.fuzz.write_corpus import CORPUS

_NUMBERS: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
_MOST_BYTES: Final = 200_000


@dataclass(frozen=True)
class File:
    """A file to be uploaded.

    Attributes:
        name: Its name.
        data: Its content.
    """

    name: str
    data: bytes

    def __repr__(self) -> str:
        return f"{self.name}, {len(self.data)} bytes: {self.data[:120].hex()}"


@cache
def samples(beginning: str) -> tuple[Path, ...]:
    """Returns the files of the corpus whose names have a beginning."""
    found = tuple(sorted(CORPUS.glob(f"{beginning}*")))
    if not found:
        raise FileNotFoundError(f"{CORPUS}/{beginning}*: run python -m tests.fuzz.write_corpus")
    return found


@st.composite
def files(draw: DrawFn, beginning: str) -> File:
    """Draws a file of a kind, damaged in up to six places, or whole."""
    path = draw(st.sampled_from(samples(beginning)))
    data = bytearray(path.read_bytes())
    for change in draw(st.lists(st.sampled_from(_CHANGES), max_size=6)):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        change(draw, data, place, beginning)
        del data[_MOST_BYTES:]
    # A decoder may trust the name.
    other = draw(st.sampled_from((path, path, *samples(beginning))))
    return File(f"file{other.suffix}", bytes(data))


def _flip(draw: DrawFn, data: bytearray, place: int, beginning: str) -> None:
    if data:
        data[place] ^= 1 << draw(st.integers(0, 7))


def _number(draw: DrawFn, data: bytearray, place: int, beginning: str) -> None:
    number, form = draw(st.sampled_from(_NUMBERS)), draw(st.sampled_from(("<I", ">I", "<H", ">H")))
    packed = struct.pack(form, number & (0xFFFF if "H" in form else 0xFFFF_FFFF))
    data[place : place + len(packed)] = packed


def _cut(draw: DrawFn, data: bytearray, place: int, beginning: str) -> None:
    del data[place:]


def _remove(draw: DrawFn, data: bytearray, place: int, beginning: str) -> None:
    del data[place : place + draw(st.integers(1, 64))]


def _repeat(draw: DrawFn, data: bytearray, place: int, beginning: str) -> None:
    piece = data[place : place + draw(st.integers(1, 64))]
    data[place:place] = piece * draw(st.sampled_from((1, 2, 1_000)))


def _splice(draw: DrawFn, data: bytearray, place: int, beginning: str) -> None:
    other = draw(st.sampled_from(samples(beginning))).read_bytes()
    data[place:] = other[draw(st.integers(0, len(other) - 1)) :]


def _noise(draw: DrawFn, data: bytearray, place: int, beginning: str) -> None:
    data[place:place] = draw(st.binary(max_size=40))


_CHANGES: Final[tuple[Callable[[DrawFn, bytearray, int, str], None], ...]] = (
    _flip,
    _number,
    _cut,
    _remove,
    _repeat,
    _splice,
    _noise,
)


def uploads() -> SearchStrategy[tuple[str, File]]:
    """Returns a strategy for a recording, a photo or a document, with its kind."""
    return st.sampled_from(("tone", "photo", "notes")).flatmap(
        lambda kind: st.tuples(st.just(kind), files(kind))
    )
