"""Engines are entry points, so that an engine in somebody else's package needs no change here."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from services.runtime.settings import ServiceSettings, SettingsError


def engine_names(stage: str) -> list[str]:
    """Return the names of the installed engines of a stage, sorted."""
    return sorted({entry.name for entry in entry_points(group=_group(stage))})


def load_engine(stage: str, name: str, settings: ServiceSettings) -> Any:
    """Return the engine: what the entry point names, called with the settings.

    Raises:
        SettingsError: No engine has the name, or its package cannot be imported.
    """
    found = [entry for entry in entry_points(group=_group(stage)) if entry.name == name]
    if not found:
        known = ", ".join(engine_names(stage)) or "none"
        raise SettingsError(
            f"ANIMA_{stage.upper()}_ENGINE: no engine is called {name!r}; known: {known}"
        )
    try:
        factory = found[0].load()
    except ImportError as error:
        raise SettingsError(
            f"ANIMA_{stage.upper()}_ENGINE: the engine {name!r} cannot be imported: {error}"
        ) from error
    return factory(settings)


def _group(stage: str) -> str:
    return f"anima.{stage}.engines"
