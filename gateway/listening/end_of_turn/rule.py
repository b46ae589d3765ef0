"""Which rule decides the end of turns: found through the entry points of `anima.end_of_turn`.

A rule of somebody else's package is used by its name in `ANIMA_GATEWAY_END_OF_TURN`; its entry
point is called with the `GatewaySettings` and gives an `EndOfTurnRule`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Protocol

from gateway.listening.end_of_turn.words import EndOfTurn, TextAndPause
from gateway.settings import GatewaySettings
from services.runtime.settings import SettingsError

GROUP = "anima.end_of_turn"
WORDS = "words"


class EndOfTurnRule(Protocol):
    """A rule, loaded once for all sessions."""

    def for_session(self) -> EndOfTurn:
        """Gives what decides for one session."""
        ...

    def close(self) -> None:
        """Frees what was loaded."""
        ...


class Words:
    """The rule without a model: the words and the pause."""

    def __init__(self, settings: GatewaySettings) -> None:
        del settings

    def for_session(self) -> EndOfTurn:
        """Gives what decides for one session."""
        return TextAndPause()

    def close(self) -> None:
        """Has nothing to free."""


def load_rule(settings: GatewaySettings) -> EndOfTurnRule:
    """Gives the rule that the settings name; takes as long as its model takes to load.

    Raises:
        SettingsError: No rule has the name, its package cannot be imported, or it cannot be used.
    """
    name = settings.end_of_turn
    if name == WORDS:
        return Words(settings)
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        known = ", ".join(sorted({WORDS, *found}))
        raise SettingsError(
            f"ANIMA_GATEWAY_END_OF_TURN: no rule is called {name!r}; known: {known}"
        )
    try:
        factory = found[name].load()
    except ImportError as error:
        raise SettingsError(
            f"ANIMA_GATEWAY_END_OF_TURN: the rule {name!r} cannot be imported: {error}"
        ) from error
    rule: EndOfTurnRule = factory(settings)
    return rule
