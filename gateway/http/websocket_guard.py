"""Who may open a WebSocket: pages of our own origin, and programs that know the token.

A browser lets any page open a WebSocket to any address, cookies or not; so the origin is checked,
and on loopback the Host too, against names that an attacker has made to point at this machine.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway.settings import GatewaySettings
from services.runtime.settings import split_address

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Access:
    """The rules of one gateway.

    Args:
        settings: its address, the names it is reached under, its token.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._token = settings.token.encode() if settings.token else None
        own_host, _ = split_address("http_listen", settings.http_listen)
        self._names = _LOOPBACK_NAMES | {own_host, *settings.http_hosts}

    @property
    def needs_token(self) -> bool:
        """Tells whether clients must name a token."""
        return self._token is not None

    def problem(self, headers: Mapping[str, str]) -> str | None:
        """Says why a handshake is refused; None if it is not.

        Without a token the Host must be a name of this gateway; with one, a proxy may have its own.
        The Origin, which every browser sends, must name the same host; programs send none.
        """
        host = headers.get("host", "")
        if self._token is None and _name_of(f"//{host}") not in self._names:
            return f"host: {host[:80]!r} is not a name of this gateway; see http_hosts"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return f"origin: {origin[:80]!r} is not the page of this gateway"
        return None

    def token_is_right(self, token: object) -> bool:
        """Compares a token in constant time; without a token everybody is right."""
        if self._token is None:
            return True
        return isinstance(token, str) and hmac.compare_digest(
            token.strip().encode("utf-8", "replace"), self._token
        )

    def authorized_by_header(self, headers: Mapping[str, str]) -> bool:
        """Tells whether the handshake itself carried the token, as programs can."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return self._token is None or (scheme.lower() == "bearer" and self.token_is_right(token))


def _name_of(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""
