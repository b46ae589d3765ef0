"""Engines are entry points, so that engines in third-party packages need no change here."""

from __future__ import annotations

import contextlib
from importlib.metadata import entry_points
from typing import Any

from services.runtime.config.settings import ServiceSettings, SettingsError
from services.runtime.engine_options import EngineOptions


def engine_names(stage: str) -> list[str]:
    """Returns the names of the installed engines of a stage, sorted."""
    return sorted({entry.name for entry in entry_points(group=_group(stage))})


def engine_option_types(stage: str) -> dict[str, type[EngineOptions]]:
    """Returns the options of the installed engines of a stage by the name of the engine.

    The modules of the engines are imported, which takes tenths of a second: engines import heavy
    libraries only in `open`. Engines that cannot be imported, and engines without options, are
    omitted.
    """
    found = {
        name: getattr(engine, "options_type", None) for name, engine in _imported(stage).items()
    }
    return {name: options for name, options in found.items() if options is not None}


def all_engines_load(stage: str) -> bool:
    """Returns whether every installed engine of a stage can be imported."""
    return len(_imported(stage)) == len(engine_names(stage))


def _imported(stage: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in sorted(entry_points(group=_group(stage)), key=lambda entry: entry.name):
        with contextlib.suppress(Exception):  # selecting the engine reports why it does not load
            found[entry.name] = entry.load()
    return found


def engine_option_names(stage: str) -> set[str]:
    """Returns the names of all options of the installed engines of a stage, in lower case."""
    return {
        name for options in engine_option_types(stage).values() for name in options.model_fields
    }


def load_engine(stage: str, name: str, settings: ServiceSettings) -> Any:
    """Creates an engine: calls its entry point with the settings.

    Raises:
        SettingsError: The engine is unknown, its package cannot be imported, or an option is
        invalid.
    """
    found = [entry for entry in entry_points(group=_group(stage)) if entry.name == name]
    if not found:
        known = ", ".join(engine_names(stage)) or "none"
        raise SettingsError(
            f"ANIMA_{stage.upper()}_ENGINE: unknown engine {name!r}; known: {known}"
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
