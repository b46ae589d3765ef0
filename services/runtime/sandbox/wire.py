"""Messages between a service and its workers: a JSON object, then raw bytes. Nothing is pickled.

    4 bytes   length of the JSON object
    8 bytes   length of the bytes
    JSON object, UTF-8
    bytes

Both sides check the lengths before they allocate anything.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

MAX_HEADER_BYTES: Final = 64 * 1024
_LENGTHS: Final = struct.Struct("!IQ")

Content: TypeAlias = bytes | bytearray | memoryview


class BrokenMessageError(Exception):
    """What the peer sent is not a message."""


class EndedError(BrokenMessageError):
    """The peer closed the connection before the end of its message."""


def send(
    peer: socket.socket,
    header: Mapping[str, Any],
    content: Content = b"",
    *,
    deadline_s: float | None = None,
) -> None:
    """Sends a message.

    Args:
        peer: The connection.
        header: The JSON object.
        content: The bytes.
        deadline_s: When to give up, on the monotonic clock; None: never.

    Raises:
        TimeoutError: The deadline has passed.
        OSError: The peer is gone.
    """
    coded = json.dumps(header).encode()
    if len(coded) > MAX_HEADER_BYTES:
        raise ValueError(f"the header has {len(coded)} bytes, more than {MAX_HEADER_BYTES}")
    body = memoryview(content).cast("B")
    parts: list[Content] = [_LENGTHS.pack(len(coded), len(body)) + coded]
    if len(body):  # a peer that has all of the message may have answered and gone
        parts.append(body)
    for part in parts:
        _set_time(peer, deadline_s)
        peer.sendall(part)


def receive(
    peer: socket.socket, *, max_content_bytes: int, deadline_s: float | None = None
) -> tuple[dict[str, Any], bytearray]:
    """Receives a message.

    Args:
        peer: The connection.
        max_content_bytes: The most bytes that are accepted after the header.
        deadline_s: When to give up, on the monotonic clock; None: never.

    Raises:
        BrokenMessageError: There is no valid message; the text states why.
        EndedError: The peer closed the connection too early.
        TimeoutError: The deadline has passed.
        OSError: The connection failed.
    """
    header_bytes, content_bytes = _LENGTHS.unpack(_read(peer, _LENGTHS.size, deadline_s))
    if header_bytes > MAX_HEADER_BYTES:
        raise BrokenMessageError(f"its header has {header_bytes} bytes")
    if content_bytes > max_content_bytes:
        raise BrokenMessageError(
            f"it has {content_bytes} bytes, and {max_content_bytes} are allowed"
        )
    try:
        header = json.loads(_read(peer, header_bytes, deadline_s))
    except (ValueError, RecursionError) as error:
        raise BrokenMessageError(f"its header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise BrokenMessageError("its header is not a JSON object")
    return header, _read(peer, content_bytes, deadline_s)


def _read(peer: socket.socket, count: int, deadline_s: float | None) -> bytearray:
    data = bytearray(count)
    rest = memoryview(data)
    while rest:
        _set_time(peer, deadline_s)
        received = peer.recv_into(rest)
        if not received:
            raise EndedError(f"it ends {len(rest)} bytes too early")
        rest = rest[received:]
    return data


def _set_time(peer: socket.socket, deadline_s: float | None) -> None:
    if deadline_s is not None:
        # A time-out of 0 would make the socket non-blocking.
        peer.settimeout(max(0.001, deadline_s - time.monotonic()))
