"""The vocabulary of Moonshine, as the maker's library stores it in `tokenizer.bin`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

UNKNOWN_ID: Final = 0
START_ID: Final = 1
END_ID: Final = 2
_SPACE: Final = "▁"
_CONTROL: Final = b"<<ST_"
_MAX_BYTES: Final = 16 * 1024 * 1024


class Vocabulary:
    """Turns the ids that the decoder chooses into text.

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

    def __len__(self) -> int:
        return len(self._entries)

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text of ids; control ids are left out.

        Bytes are joined before they are decoded, since one character may have several ids.
        """
        pieces = (self._entries[each] for each in ids if each > END_ID)
        joined = b"".join(piece for piece in pieces if not piece.startswith(_CONTROL))
        return joined.decode("utf-8", errors="ignore").replace(_SPACE, " ").strip()


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
