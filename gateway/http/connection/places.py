"""A bounded number of places, in all and for each address."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from typing import Final, Generic, TypeVar

T = TypeVar("T", bound=Hashable)

_IPV6_SITE_BITS: Final = 64
"""One client of IPv6 usually has all addresses of such a network."""


class AddressGroups:
    """Decides which addresses count as one.

    Args:
        proxies: Addresses and networks without a limit of their own, because many clients share
            them.
    """

    def __init__(self, proxies: Sequence[str]) -> None:
        self._proxies = [ipaddress.ip_network(each, strict=False) for each in proxies]
        self.of = lru_cache(maxsize=1_024)(self._group)

    def _group(self, address: str) -> str:
        """Returns the name of the group of an address; empty: it is not limited."""
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


class Places(Generic[T]):
    """Holders of places, in the order of their last progress.

    Args:
        most: The most places.
        per_group: The most places of one group; the group with an empty name has no limit.
    """

    def __init__(self, *, most: int, per_group: int) -> None:
        self._most = most
        self._per_group = per_group
        self._holders: OrderedDict[T, str] = OrderedDict()
        self._groups: dict[str, OrderedDict[T, None]] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def __contains__(self, holder: T) -> bool:
        return holder in self._holders

    def __iter__(self) -> Iterator[T]:
        return iter(self._holders)

    def oldest(self) -> T | None:
        """Returns the holder that has made no progress for the longest time."""
        return next(iter(self._holders), None)

    def in_the_way(self, group: str, *, others: int = 0) -> tuple[T, str] | None:
        """Finds who has to leave before a new holder can be added.

        Args:
            group: The group of the new one.
            others: Places that are taken by something else.

        Returns:
            The holder, and the reason: "address" or "full"; None if there is room.
        """
        of_group = self._groups.get(group)
        if of_group and len(of_group) >= self._per_group:
            return next(iter(of_group)), "address"
        if self._holders and len(self._holders) + others >= self._most:
            return next(iter(self._holders)), "full"
        return None

    def add(self, holder: T, group: str) -> None:
        """Adds a holder, whether there is room or not."""
        self._holders[holder] = group
        if group:
            self._groups.setdefault(group, OrderedDict())[holder] = None

    def progress(self, holder: T) -> None:
        """Makes a holder the last one that has to leave."""
        group = self._holders.get(holder)
        if group is not None:
            self._holders.move_to_end(holder)
            if group:
                self._groups[group].move_to_end(holder)

    def remove(self, holder: T) -> None:
        """Frees the place of a holder, if it has one."""
        group = self._holders.pop(holder, "")
        if group:
            of_group = self._groups[group]
            del of_group[holder]
            if not of_group:
                del self._groups[group]
