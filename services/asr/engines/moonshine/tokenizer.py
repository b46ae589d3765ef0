"""The vocabulary of Moonshine, as the maker's library stores it in `tokenizer.bin`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

UNKNOWN_ID: Final = 0
START_ID: Final = 1
END_ID: Final = 2
_LAST_BYTE_ID: Final = 258
_SPACE: Final = "▁"
_CONTROL: Final = b"<<ST_"
_MAX_BYTES: Final = 16 * 1024 * 1024


class Spelling(NamedTuple):
    """A word and the ids that spell it, `first` to `end` (exclusive)."""

    text: str
    first: int
    end: int


class Vocabulary:
    """Turns the ids that the decoder chooses into text, and text into ids.

    The file holds one entry per id: a length, then that many bytes of UTF-8. A length below 128
    takes one byte; otherwise it is `first - 128 + 128 * second`. An entry of length 0 is unused.

    Args:
        path: The file.

    Raises:
        ValueError: The file has another format.
    """

    def __init__(self, path: Path) -> None:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"{path} is longer than {_MAX_BYTES} bytes")
        self._entries = _entries(path.read_bytes())
        if len(self._entries) <= END_ID:
            raise ValueError(f"{path} has {len(self._entries)} entries, too few for a vocabulary")
        self._known: dict[bytes, int] = {}
        for one, entry in enumerate(self._entries[END_ID + 1 :], END_ID + 1):
            if entry and self._known.get(entry, 0) <= _LAST_BYTE_ID:
                self._known[entry] = one

    def __len__(self) -> int:
        return len(self._entries)

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text of ids; control ids are left out.

        Bytes are joined before they are decoded, since one character may have several ids.
        """
        pieces = (self._entries[each] for each in ids if each > END_ID)
        joined = b"".join(piece for piece in pieces if not piece.startswith(_CONTROL))
        return joined.decode("utf-8", errors="ignore").replace(_SPACE, " ").strip()

    def begins_word(self, one_id: int) -> bool:
        """Returns whether an id begins a word."""
        return self._entries[one_id].startswith(_SPACE.encode())

    def words(self, ids: Sequence[int]) -> list[Spelling]:
        """Splits ids into words; an id without letters belongs to the word before it."""
        starts = [at for at, one in enumerate(ids) if at == 0 or self.begins_word(one)]
        spellings = (
            Spelling(self.text(ids[first:end]), first, end)
            for first, end in itertools.pairwise([*starts, len(ids)])
        )
        return [spelling for spelling in spellings if spelling.text]

    def ids(self, phrase: str) -> list[int]:
        """Returns the ids that spell a phrase within a sentence; none if that is not possible.

        The ids are in the order in which byte pair encoding found them, so that of all neighbours
        that can be joined the pair with the lowest id comes first: Sennrich et al., 2016, "Neural
        Machine Translation of Rare Words with Subword Units".
        """
        text = _SPACE + _SPACE.join(phrase.split())
        pieces = [character.encode() for character in text]
        while len(pieces) > 1:
            pairs = (
                (self._known.get(first + second, len(self)), at)
                for at, (first, second) in enumerate(itertools.pairwise(pieces))
            )
            joined, at = min(pairs)
            if joined == len(self):
                break
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
        ids: list[int] = []
        for piece in pieces:
            parts = [piece] if piece in self._known else [bytes([byte]) for byte in piece]
            if any(part not in self._known for part in parts):
                return []
            ids += [self._known[part] for part in parts]
        return ids


def _entries(data: bytes) -> list[bytes]:
    entries: list[bytes] = []
    position = 0
    while position < len(data):
        length = data[position]
        position += 1
        if length >= 128:
            if position == len(data):
                raise ValueError("the vocabulary ends within a length")
            length += 128 * data[position] - 128
            position += 1
        if position + length > len(data):
            raise ValueError("the vocabulary ends within an entry")
        entries.append(data[position : position + length])
        position += length
    return entries
