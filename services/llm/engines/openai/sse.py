"""Server-sent events, as far as chat completions use them."""

from __future__ import annotations

from typing import Final

_MAX_EVENT_BYTES: Final = 4 * 1024 * 1024


class EventParser:
    """Finds the data of events in bytes that come in pieces of any size.

    Lines end at LF, CRLF or CR only: splitting them as text would also break at U+2028 and U+0085,
    which stand in JSON as they are.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[str]:
        """Takes more bytes; returns the data of each event that is complete.

        Raises:
            ValueError: An event is too long, or is not UTF-8.
        """
        lines = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _MAX_EVENT_BYTES:
            raise ValueError("an event is too long")
        events: list[str] = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].strip(b" \r"))
            elif not line.strip(b"\r") and self._data:
                events.append(b"\n".join(self._data).decode())
                self._data = []
        return events

    def finish(self) -> list[str]:
        """Returns an event that the server ended without its empty line."""
        return self.feed(b"\n\n")
