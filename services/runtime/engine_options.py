"""Typed options of engines, read from the `ANIMA_<STAGE>_*` variables that the stage does not use.

An engine declares its options as a class attribute::

    class ToneOptions(EngineOptions):
        frequency_hz: int = Field(default=440, ge=20, le=20_000)


    class ToneEngine:
        options_type = ToneOptions

        def __init__(self, settings: TtsSettings) -> None:
            options = ToneOptions.read(settings)  # ANIMA_TTS_FREQUENCY_HZ
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from services.runtime.config.settings import ServiceSettings, SettingsError


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None


def _split(value: object) -> object:
    return value.split("|") if isinstance(value, str) else value


JsonObject = Annotated[dict[str, Any], BeforeValidator(_parsed)]
"""An option whose variable contains a JSON object."""
Texts = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""An option whose variable contains texts separated by "|"."""


class EngineOptions(BaseModel):
    """A frozen model of options; the field `top_p` is read from `ANIMA_<STAGE>_TOP_P`.

    Options of the other engines of the stage are ignored, so that switching engines takes one
    variable. Names that no engine declares are rejected when the service starts.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls, settings: ServiceSettings) -> Self:
        """Reads the options from the settings of the stage.

        Raises:
            SettingsError: A value is invalid; the text names the variable.
        """
        try:
            return cls.model_validate(dict(settings.options))
        except ValidationError as error:
            prefix = f"ANIMA_{settings.stage.upper()}_"
            faults = [
                prefix
                + (str(fault["loc"][0]).upper() if fault["loc"] else "*")
                + ": "
                + fault["msg"].removeprefix("Value error, ")
                for fault in error.errors(include_url=False)
            ]
            raise SettingsError("; ".join(faults)) from None
