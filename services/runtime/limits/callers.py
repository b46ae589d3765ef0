"""By what the places and rates of a caller are counted."""

from __future__ import annotations

import functools
import ipaddress
from urllib.parse import unquote

from services.runtime.identity.caller import Identity, Mode

_IPV6_SUBSCRIBER_BITS = 64


def counted_as(identity: Identity, *, by_address: bool = False) -> str | None:
    """Returns the key by which the limits of a caller are counted.

    Args:
        identity: The caller.
        by_address: Whether callers without a token of their own are told apart by their address.
            Only where people arrive: the callers of a stage are gateways.

    Returns:
        The user of a token of its own, or the address of another machine; None: there are no limits
        for this caller. Services need all places to serve others, and on this machine or
        with an open gateway one person is everybody.
    """
    if identity.mode is Mode.IDENTITIES:
        return identity.key if identity.is_bound else None
    return _network_of(identity.peer) if by_address else None


@functools.lru_cache(maxsize=256)
def _network_of(peer: str) -> str | None:
    """Returns the address of another machine, of IPv6 its subscriber's network; None: ours."""
    text = unquote(peer).removeprefix("ipv4:").removeprefix("ipv6:").strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            network = ipaddress.ip_network((address, _IPV6_SUBSCRIBER_BITS), strict=False)
            return None if address.is_loopback else str(network)
        address = address.ipv4_mapped
    return None if address.is_loopback else str(address)
