"""Finds the rule for the end of turns through the entry points of `anima.end_of_turn`.

`ANIMA_GATEWAY_END_OF_TURN` selects the rule of a third-party package by name; its entry point is
called with the `GatewaySettings` and returns an `EndOfTurnRule`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Protocol

from gateway.listening.end_of_turn.words import EndOfTurn, TextAndPause
from gateway.settings import GatewaySettings
from services.runtime.config.settings import SettingsError

GROUP = "anima.end_of_turn"
WORDS = "words"


class EndOfTurnRule(Protocol):
    """A rule, loaded once for all sessions."""

    def for_session(self) -> EndOfTurn:
        """Returns the decider for one session."""
        ...

    def close(self) -> None:
        """Frees the resources of the rule."""
        ...


class Words:
    """The rule without a model: words and pause."""

    def __init__(self, settings: GatewaySettings) -> None:
        del settings

    def for_session(self) -> EndOfTurn:
        """Returns the decider for one session."""
        return TextAndPause()

    def close(self) -> None:
        """Does nothing: there is nothing to free."""


def load_rule(settings: GatewaySettings) -> EndOfTurnRule:
    """Loads the rule that the settings name; blocks while its model is loaded.

    Raises:
        SettingsError: There is no rule of this name, its package cannot be imported, or it cannot
            be used.
    """
    name = settings.end_of_turn
    if name == WORDS:
        return Words(settings)
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        known = ", ".join(sorted({WORDS, *found}))
        raise SettingsError(f"ANIMA_GATEWAY_END_OF_TURN: there is no rule {name!r}; known: {known}")
    try:
        factory = found[name].load()
    except ImportError as error:
        raise SettingsError(
            f"ANIMA_GATEWAY_END_OF_TURN: the rule {name!r} cannot be imported: {error}"
        ) from error
    rule: EndOfTurnRule = factory(settings)
    return rule
