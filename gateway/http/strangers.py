"""Slows down clients that send many requests without having shown that they may use the gateway."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from starlette.types import Scope

from gateway.http.connection.connections import ClientConnection, connection_of
from services.runtime.limits.pace import Pace

FREE_REQUESTS: Final = 8
"""A browser loads the files of the page over six connections. A probe opens one, or sends a request
in some seconds."""
FREE_PER_S: Final = 0.2
GREEDY_PER_S: Final = 200.0
"""The requests of all connections that send more than that."""


class Strangers:
    """The paces of the connections whose clients are not authenticated.

    Each has some requests free. The others of all connections together get what a small part of the
    processor can serve, so that conversations go on.

    Args:
        now: A monotonic clock, s.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._own: WeakKeyDictionary[ClientConnection, Pace] = WeakKeyDictionary()
        self._greedy = Pace(per_second=GREEDY_PER_S, burst=GREEDY_PER_S, now=now)

    def wait_s(self, scope: Scope) -> float:
        """Returns how long a request must wait, s."""
        connection = connection_of(scope)
        if connection is None or connection.authenticated:
            return 0.0
        own = self._own.get(connection)
        if own is None:
            own = Pace(per_second=FREE_PER_S, burst=FREE_REQUESTS, now=self._now)
            self._own[connection] = own
        return self._greedy.wait_s(1) if own.wait_s(1) else 0.0
