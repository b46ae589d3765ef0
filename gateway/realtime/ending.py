"""How a WebSocket is closed by the gateway: the codes, and the error that leads to it."""

from __future__ import annotations

UNAUTHORIZED = 4401
RULE_BROKEN = 1008
TOO_BIG = 1009
FAILED = 1011
TRY_LATER = 1013


class ConnectionEndError(Exception):
    """The connection must be closed, with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def check_size(what: str, size_bytes: int, most: int) -> None:
    """Checks the size of a message.

    Raises:
        ConnectionEndError: It is too large.
    """
    if size_bytes > most:
        raise ConnectionEndError(TOO_BIG, f"{what} must be at most {most} bytes, got {size_bytes}")
