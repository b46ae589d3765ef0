"""The shutdown of the gateway: open conversations are notified, new ones are refused."""

from __future__ import annotations

from collections.abc import Callable

from services.runtime.errors import Unavailable


class Drain:
    """Records whether the gateway is going away.

    Attributes:
        begun: True once it is.
        listeners: Each is called once when the drain begins; open conversations register here.
    """

    def __init__(self) -> None:
        self.begun = False
        self.listeners: set[Callable[[], None]] = set()

    def begin(self) -> None:
        """Notifies every open conversation that the gateway is going away; no new one is opened."""
        self.begun = True
        for tell in tuple(self.listeners):
            tell()

    def check(self) -> None:
        """Rejects a new conversation once the gateway is going away.

        Raises:
            Unavailable: The gateway is going away; another gateway, or this one after its restart,
                will accept the conversation.
        """
        if self.begun:
            raise Unavailable("the gateway is being restarted; try again", reason="GOING_AWAY")
