"""The connections to the HTTP port, and which of them is closed when there are too many.

Anybody who reaches the port can open connections. Those that have not shown that they may use the
gateway have a small number of places of their own. When these are taken, the connection that has
been idle longest is closed for the new one: a page needs its place for some milliseconds only, and
gets it however many connections are idle.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from prometheus_client import Counter
from starlette.types import Scope

from gateway.http.connection.places import AddressGroups, Places
from gateway.metrics import HTTP_CLOSED
from services.runtime.observing.logs import get_logger

_STATE: Final = "connection"


class ClientConnection:
    """One open connection.

    Attributes:
        authenticated: Whether its client has shown that it may use the gateway.
    """

    def __init__(self, table: ConnectionTable, close: Callable[[], None]) -> None:
        self.authenticated = False
        self.close = close
        self._table = table
        self._on_authenticated: list[Callable[[], None]] = []

    def progress(self) -> None:
        """Records that a request or a response was complete."""
        self._table.progress(self)

    def when_authenticated(self, call: Callable[[], None]) -> None:
        """Calls a function once the client is authenticated."""
        if self.authenticated:
            call()
        else:
            self._on_authenticated.append(call)

    def authenticate(self) -> None:
        """Records that the client may use the gateway: its connection is not closed for others."""
        if not self.authenticated:
            self.authenticated = True
            self._table.authenticated(self)
            for call in self._on_authenticated:
                call()
            self._on_authenticated.clear()

    def closed(self) -> None:
        """Records that the connection is closed."""
        self._table.closed(self)


class ConnectionTable:
    """The open connections whose client has sent the head of a request.

    Args:
        most: The most connections in all.
        unauthenticated: The most connections that are not authenticated.
        per_address: The same for one address.
        groups: Which addresses count as one.
    """

    def __init__(
        self, *, most: int, unauthenticated: int, per_address: int, groups: AddressGroups
    ) -> None:
        self._most = most
        self._groups = groups
        self._open: set[ClientConnection] = set()
        self._unauthenticated: Places[ClientConnection] = Places(
            most=unauthenticated, per_group=per_address
        )

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, address: str, close: Callable[[], None]) -> ClientConnection | None:
        """Takes a new connection, and closes another one for it if necessary.

        Args:
            address: The address of the client.
            close: Closes the connection at once.

        Returns:
            The connection; None if all are in use by authenticated clients.
        """
        group = self._groups.of(address)
        if in_the_way := self._unauthenticated.in_the_way(group):
            self._close(*in_the_way)
        elif len(self._open) >= self._most and not self.close_oldest():
            return None
        connection = ClientConnection(self, close)
        self._open.add(connection)
        self._unauthenticated.add(connection, group)
        return connection

    def close_oldest(self) -> bool:
        """Closes the connection that has been idle longest, unless all are authenticated."""
        oldest = self._unauthenticated.oldest()
        if oldest is not None:
            self._close(oldest, "full")
        return oldest is not None

    def progress(self, connection: ClientConnection) -> None:
        """Makes a connection the last one to be closed."""
        self._unauthenticated.progress(connection)

    def authenticated(self, connection: ClientConnection) -> None:
        """Takes a connection out of those that may be closed for others."""
        self._unauthenticated.remove(connection)

    def closed(self, connection: ClientConnection) -> None:
        """Forgets a connection."""
        self._unauthenticated.remove(connection)
        self._open.discard(connection)

    def _close(self, connection: ClientConnection, reason: str) -> None:
        report_closed(reason)
        self.closed(connection)
        connection.close()


@cache
def _closed(reason: str) -> Counter:
    return HTTP_CLOSED.labels(reason)


def report_closed(reason: str, count: int = 1) -> None:
    """Reports that connections of clients were closed before they were authenticated."""
    _closed(reason).inc(count)
    get_logger().info("unauthenticated connections closed", reason=reason, count=count)


def state_of(connection: ClientConnection) -> dict[str, ClientConnection]:
    """Returns the state that a scope carries for `connection_of`."""
    return {_STATE: connection}


def connection_of(scope: Scope) -> ClientConnection | None:
    """Returns the connection of a request or WebSocket; None: another server accepted it."""
    found: ClientConnection | None = scope.get("state", {}).get(_STATE)
    return found


def authenticated(scope: Scope) -> None:
    """Records that the client of a request or WebSocket may use the gateway."""
    if (connection := connection_of(scope)) is not None:
        connection.authenticate()
