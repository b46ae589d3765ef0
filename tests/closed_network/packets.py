"""Says in words where a packet was meant to go."""

from __future__ import annotations

import ipaddress
import struct

_TCP, _UDP, _ICMPV6 = 6, 17, 58
_PROTOCOLS = {1: "ICMP", 2: "IGMP"}
# Neighbour discovery and multicast membership: the kernel sends them for the interface itself.
_ICMPV6_OF_THE_KERNEL = frozenset({130, 131, 132, 133, 134, 135, 136, 143})
_EXTENSION_HEADERS = frozenset({0, 43, 44, 60})


def describe(packet: bytes) -> str | None:
    """Returns what a packet wanted, such as "UDP to 10.99.0.1 port 53: example.org".

    Args:
        packet: The packet from its IP header on.

    Returns:
        None for what the kernel itself sends when an interface comes up.
    """
    if packet[0] >> 4 == 4:
        target = str(ipaddress.IPv4Address(packet[16:20]))
        return _describe(packet[9], target, packet[(packet[0] & 15) * 4 :])
    target = str(ipaddress.IPv6Address(packet[24:40]))
    protocol, rest = packet[6], packet[40:]
    while protocol in _EXTENSION_HEADERS and len(rest) >= 8:
        protocol, rest = rest[0], rest[(rest[1] + 1) * 8 :]
    if protocol == _ICMPV6 and rest and rest[0] in _ICMPV6_OF_THE_KERNEL:
        return None
    return _describe(protocol, target, rest)


def _describe(protocol: int, target: str, payload: bytes) -> str:
    if protocol not in (_TCP, _UDP):
        return f"{_PROTOCOLS.get(protocol, f'protocol {protocol}')} to {target}"
    (port,) = struct.unpack("!H", payload[2:4])
    text = f"{'TCP' if protocol == _TCP else 'UDP'} to {target} port {port}"
    if protocol == _UDP and port in (53, 5353):
        return f"{text}: {_question(payload[8:])}"
    return text


def _question(message: bytes) -> str:
    """Returns the name that a DNS message asks for."""
    labels, at = [], 12
    while at < len(message) and 0 < message[at] < 64:
        labels.append(message[at + 1 : at + 1 + message[at]].decode("ascii", "replace"))
        at += 1 + message[at]
    return ".".join(labels)
