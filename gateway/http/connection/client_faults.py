"""Faults of clients that uvicorn reports as its own, with a traceback."""

from __future__ import annotations

import logging
from typing import Final

_MESSAGES: Final = (
    "Invalid UTF-8 sequence received from client.",
    # Refused handshakes, of which the guard writes a line with the reason.
    "connection rejected (%d %s)",
    '%s - "WebSocket %s" 403',
    '%s - "WebSocket %s" %d',
)


class ClientFaults(logging.Filter):
    """Logs faults of clients at debug level and without a traceback.

    The client is told by the code with which its WebSocket is closed. As an error, a line for each
    such message would fill the log before a token is asked for.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether a record is logged."""
        if record.msg not in _MESSAGES:
            return True
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        record.exc_info = None
        return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


def install() -> None:
    """Adds the filter to uvicorn's logger, once per process."""
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(each, ClientFaults) for each in logger.filters):
        logger.addFilter(ClientFaults())
