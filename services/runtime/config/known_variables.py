"""Rejects environment variables that no service reads, so that misspelt ones are noticed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Final

from services.runtime.config.settings import ServiceSettings, SettingsError
from services.runtime.config.variables import PREFIX, is_service_link, stage_prefix
from services.runtime.engines import all_engines_load, engine_option_names

_GROUP: Final = "anima.settings"
_ELSEWHERE: Final = frozenset({"ANIMA_GATEWAY", "ANIMA_REQUIRE_ALL", "ANIMA_SCREENSHOTS"})
"""Variables that the command line and the tests read."""


def installed_settings() -> dict[str, type[ServiceSettings]]:
    """Returns the settings models of the installed services by stage.

    They are the entry points of the group `anima.settings`; one that cannot be imported is
    skipped.
    """
    found: dict[str, type[ServiceSettings]] = {}
    for entry in entry_points(group=_GROUP):
        try:
            found[entry.name] = entry.load()
        except ImportError:
            continue
    return found


def refuse_unknown(model: type[ServiceSettings], environment: Mapping[str, str]) -> None:
    """Rejects `ANIMA_*` variables that neither a service nor an engine of this stage reads.

    Variables that start with the name of another stage are left to that stage. Empty variables and
    the service links of Kubernetes are ignored.

    Args:
        model: The settings of the stage that starts.
        environment: All variables.

    Raises:
        SettingsError: There are unknown variables; the text names the nearest known ones.
    """
    names = _Names(model)
    faults = [
        f"{name} is not a setting; {names.advice(name)}"
        for name, value in sorted(environment.items())
        if value and not is_service_link(name, value) and not names.is_known(name)
    ]
    if faults:
        raise SettingsError("; ".join(faults))


class _Names:
    """The variables known to one stage. Other services and engines are imported only if needed."""

    def __init__(self, model: type[ServiceSettings]) -> None:
        self._model = model
        self._prefix = stage_prefix(model.stage)
        self._read = set(_names_of(model))
        self._others: set[str] | None = None

    def is_known(self, name: str) -> bool:
        """Returns whether a variable is read by a service, or is not one of ours."""
        if not name.startswith(PREFIX):
            # The lower-case form of a setting is never read.
            return not name.upper().startswith(PREFIX) or name.upper() not in self._read
        if name in self._read or name in _ELSEWHERE:
            return True
        if not name.startswith(self._prefix):
            return self._belongs_to_another(name) or name in self._all()
        # It may be an option of an engine whose import fails; selecting that one reports why.
        return name in self._all() or not all_engines_load(self._model.stage)

    def advice(self, name: str) -> str:
        """Returns what to do about an unknown variable."""
        # The common prefix would make all names similar.
        known = sorted(each.removeprefix(PREFIX) for each in self._all())
        nearest = get_close_matches(name.upper().removeprefix(PREFIX), known, n=1)
        return f"did you mean {PREFIX}{nearest[0]}?" if nearest else "remove it"

    def _belongs_to_another(self, name: str) -> bool:
        stages = {entry.name for entry in entry_points(group=_GROUP)}
        # Without metadata of the installed package only this stage's variables can be checked.
        return not stages or any(name.startswith(stage_prefix(stage)) for stage in stages)

    def _all(self) -> set[str]:
        if self._others is None:
            self._others = {
                name for model in installed_settings().values() for name in _names_of(model)
            }
            options = engine_option_names(self._model.stage)
            self._others |= {self._prefix + option.upper() for option in options}
        return self._read | self._others


def _names_of(model: type[ServiceSettings]) -> Iterator[str]:
    for setting in model.variables():
        yield stage_prefix(model.stage) + setting.upper()
        yield PREFIX + setting.upper()
