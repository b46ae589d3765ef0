"""A worker that has the whole request may answer and end before the service has done its part."""

from __future__ import annotations

import socket
from typing import Any

from services.runtime.sandbox import wire


class Hasty(socket.socket):
    """Its peer takes the first part and is gone."""

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        super().sendall(data, flags)
        peer.close()


peer: socket.socket


def test_a_request_without_content_is_one_part() -> None:
    global peer
    ours, peer = socket.socketpair()
    with Hasty(fileno=ours.detach()) as hasty:
        wire.send(hasty, {"act": "nothing"})
