"""The end of the gateway: open conversations are told, new ones are refused."""

from __future__ import annotations

from collections.abc import Callable

from services.runtime.errors import Unavailable


class Drain:
    """Whether the gateway is going away.

    Attributes:
        begun: True once it is.
        listeners: Called, each once, when it begins; open conversations are in it.
    """

    def __init__(self) -> None:
        self.begun = False
        self.listeners: set[Callable[[], None]] = set()

    def begin(self) -> None:
        """Tells every open conversation that the gateway is going away; no other is opened."""
        self.begun = True
        for tell in tuple(self.listeners):
            tell()

    def check(self) -> None:
        """Rejects a new conversation once the gateway is going away.

        Raises:
            Unavailable: It is; another gateway, or this one after its restart, takes it.
        """
        if self.begun:
            raise Unavailable("the gateway is being restarted; try again", reason="GOING_AWAY")
