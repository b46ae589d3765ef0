"""The accept loop of the HTTP port, which survives a full table of descriptors.

asyncio's own loop accepts up to `backlog` connections at a time, and when the process has no
descriptor left it writes a line and plans a retry for each of them: 8 MB of log and one core per
second.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

from services.runtime.observing.logs import get_logger

_NOTHING_LEFT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 1.0


async def accept_connections(
    listener: socket.socket, protocol: Callable[[], asyncio.Protocol], make_room: Callable[[], bool]
) -> None:
    """Accepts connections, one at a time, until it is cancelled.

    Args:
        listener: The socket, which listens and does not block.
        protocol: Makes the protocol of a connection.
        make_room: Closes another connection when no descriptor is left; returns False if there is
            none to close.
    """
    loop = asyncio.get_running_loop()
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError as error:
            if error.errno not in _NOTHING_LEFT:
                continue  # the client has gone, or its network failed
            made = make_room()
            get_logger().error("no connection can be accepted", problem=str(error), made_room=made)
            # The descriptor of a connection that was closed is free after one round of the loop.
            pause_s = _FIRST_PAUSE_S if made else min(2 * pause_s, _LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)
            continue
        pause_s = _FIRST_PAUSE_S
        try:
            await loop.connect_accepted_socket(protocol, connection)
        except OSError:  # it was closed meanwhile
            connection.close()
