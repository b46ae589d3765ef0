"""The connections to the HTTP port, and which of them is closed when there are too many.

Anybody who reaches the port can open connections. Those that have not shown that they may use the
gateway have a small number of places of their own. When these are taken, the connection that has
been idle longest is closed for the new one: a page needs its place for some milliseconds only, and
gets it however many connections are idle.
"""

from __future__ import annotations

import collections
import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Final

from prometheus_client import Counter
from starlette.types import Scope

from gateway.metrics import HTTP_CLOSED
from services.runtime.observing.logs import get_logger

_STATE: Final = "connection"
_IPV6_SITE_BITS: Final = 64
"""One client of IPv6 usually has all addresses of such a network."""


class ClientConnection:
    """One open connection.

    Attributes:
        authenticated: Whether its client has shown that it may use the gateway.
    """

    def __init__(self, table: ConnectionTable, group: str, close: Callable[[], None]) -> None:
        self.authenticated = False
        self.group = group
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
    """The open connections.

    Args:
        most: The most connections in all.
        unauthenticated: The most connections that are not authenticated.
        per_address: The same for one address.
        proxies: Addresses and networks without a limit of their own, because many clients share
            them.
    """

    def __init__(
        self, *, most: int, unauthenticated: int, per_address: int, proxies: Sequence[str]
    ) -> None:
        self._most = most
        self._unauthenticated = unauthenticated
        self._per_address = per_address
        self._proxies = [ipaddress.ip_network(each, strict=False) for each in proxies]
        self._group = lru_cache(maxsize=1_024)(self._new_group)
        self._open: set[ClientConnection] = set()
        # The first one has made no progress for the longest time.
        self._waiting: OrderedDict[ClientConnection, None] = OrderedDict()
        self._groups: collections.Counter[str] = collections.Counter()

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
        group = self._group(address)
        if group and self._groups[group] >= self._per_address:
            self._close(next(each for each in self._waiting if each.group == group), "address")
        elif len(self._waiting) >= self._unauthenticated:
            self.close_oldest()
        elif len(self._open) >= self._most and not self.close_oldest():
            return None
        connection = ClientConnection(self, group, close)
        self._open.add(connection)
        self._waiting[connection] = None
        self._groups[group] += 1
        return connection

    def close_oldest(self) -> bool:
        """Closes the connection that has been idle longest, unless all are authenticated."""
        oldest = next(iter(self._waiting), None)
        if oldest is not None:
            self._close(oldest, "full")
        return oldest is not None

    def progress(self, connection: ClientConnection) -> None:
        """Makes a connection the last one to be closed."""
        if connection in self._waiting:
            self._waiting.move_to_end(connection)

    def authenticated(self, connection: ClientConnection) -> None:
        """Takes a connection out of those that may be closed for others."""
        if self._waiting.pop(connection, self) is not self:
            self._groups[connection.group] -= 1
            if not self._groups[connection.group]:
                del self._groups[connection.group]

    def closed(self, connection: ClientConnection) -> None:
        """Forgets a connection."""
        self.authenticated(connection)
        self._open.discard(connection)

    def _close(self, connection: ClientConnection, reason: str) -> None:
        report_closed(reason)
        self.closed(connection)
        connection.close()

    def _new_group(self, address: str) -> str:
        """Returns what counts as one address; empty: it is not limited."""
        try:
            client = ipaddress.ip_address(address)
        except ValueError:
            return address
        client = getattr(client, "ipv4_mapped", None) or client
        if any(client in network for network in self._proxies):
            return ""
        if client.version == 4:
            return str(client)
        return str(ipaddress.ip_network((client, _IPV6_SITE_BITS), strict=False))


@cache
def _closed(reason: str) -> Counter:
    return HTTP_CLOSED.labels(reason)


def report_closed(reason: str) -> None:
    """Reports that the connection of a client was closed before it was authenticated."""
    _closed(reason).inc()
    get_logger().info("unauthenticated connection closed", reason=reason)


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
