"""Reads settings from environment variables: `ANIMA_<STAGE>_X`, otherwise `ANIMA_X`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

PREFIX: Final = "ANIMA_"

_ADDRESS: Final = r"(tcp|udp|sctp)://\S+"
_SERVICE_LINKS: Final = (
    # kubernetes.io/docs/tutorials/services/connect-applications-service: "environment variables"
    ("SERVICE_HOST", r".*"),
    ("SERVICE_PORT(_[A-Z0-9_]+)?", r"\d+"),
    ("PORT", _ADDRESS),
    (r"PORT_\d+_(TCP|UDP|SCTP)", _ADDRESS),
    (r"PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)", r".*"),
)


class StageVariables(PydanticBaseSettingsSource):
    """The settings of one stage as environment variables. Empty variables count as not set.

    Args:
        model: The settings model.
        stage: The name of the stage, in lower case.
        places: The place of each setting in the model: a field, or a field of a group.
        environment: The variables.

    Attributes:
        names: The variable from which each place was read.
    """

    def __init__(
        self,
        model: type[BaseSettings],
        stage: str,
        places: Mapping[str, tuple[str, ...]],
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(model)
        self._prefix = stage_prefix(stage)
        self._places = places
        self._environment = environment
        self.names: dict[tuple[str, ...], str] = {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Returns the text of a setting or None, the setting, and whether it has several values."""
        several = get_origin(field.annotation) in (tuple, list, set, frozenset)
        for name in (self._prefix + field_name.upper(), PREFIX + field_name.upper()):
            if value := self._environment.get(name):
                self.names[self._places[field_name]] = name
                return value, field_name, several
        return None, field_name, several

    def __call__(self) -> dict[str, Any]:
        """Returns the values by field, and the stage's variables that have no field."""
        values: dict[str, Any] = {}
        for setting, place in self._places.items():
            field = self.settings_cls.model_fields[place[0]]
            value, _, several = self.get_field_value(field, setting)
            if value is not None:
                put(values, place, _split(value) if several else value)
        values["options"] = self._options()
        return values

    def _options(self) -> dict[str, str]:
        return {
            name.removeprefix(self._prefix).lower(): value
            for name, value in self._environment.items()
            if value
            and name.startswith(self._prefix)
            and name.removeprefix(self._prefix).lower() not in self._places
            and not is_service_link(name, value)
        }


def stage_prefix(stage: str) -> str:
    """Returns the prefix of the variables of one stage, such as "ANIMA_TTS_"."""
    return f"{PREFIX}{stage.upper()}_"


def is_service_link(name: str, value: str) -> bool:
    """Returns whether Kubernetes sets the variable for a service named "anima" or "anima-..."."""
    return any(
        re.fullmatch(f"{PREFIX}(.+_)?{ending}", name) and re.fullmatch(form, value)
        for ending, form in _SERVICE_LINKS
    )


def put(values: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    """Puts a value into nested dictionaries.

    Args:
        values: The outermost dictionary.
        place: The path of keys to the value.
        value: The value.
    """
    *groups, field = place
    for group in groups:
        values = values.setdefault(group, {})
    values[field] = value


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
