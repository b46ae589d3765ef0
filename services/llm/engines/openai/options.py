"""The settings of the engine `openai`."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.llm.options import WritingOptions
from services.llm.settings import LlmSettings
from services.runtime.engine_options import JsonObject
from services.runtime.settings import SettingsError

_PRESETS: Final = Path(__file__).with_name("presets.toml")


class Preset(BaseModel):
    """What is known about a server; see presets.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str
    model: str
    extra: dict[str, Any] = {}
    salts: bool = False
    adapters: bool = False
    stream_usage: bool = True


class OpenAiOptions(WritingOptions):
    """What the engine `openai` reads from `ANIMA_LLM_*`."""

    preset: str = ""
    """The name of a known server in presets.toml, whose URL, model and further options are the
    defaults."""
    base_url: str = ""
    """The URL of the server, such as http://127.0.0.1:8000/v1."""
    model: str = ""
    """The model's name on the server."""
    salts: bool = False
    """Whether requests carry vLLM's `cache_salt`, which keeps the prompt caches of users apart."""
    adapters: bool = False
    """Whether the adapter of a persona is requested as the model."""
    stream_usage: bool = True
    """Whether the server is asked for the token counts of a stream."""
    extra: JsonObject = Field(default={})
    """Further fields of each request; they override those of the preset."""
    connect_timeout_s: float = Field(default=5, gt=0, le=300)
    """How long connecting may take."""
    first_token_timeout_s: float = Field(default=30, gt=0, le=600)
    """The longest time from the request to the first event; a model that thinks sends events
    meanwhile."""
    between_tokens_timeout_s: float = Field(default=15, gt=0, le=600)
    """The longest time between two events."""
    retries: int = Field(default=2, ge=0, le=10)
    """How often a request is sent again before its first token."""
    max_retry_wait_s: float = Field(default=3, ge=0, le=60)
    """A server that asks for a longer pause is not asked again: the caller gets the error."""
    start_timeout_s: float = Field(default=120, ge=0, le=3600)
    """How long the service waits at start for a server that is not there yet."""
    health_interval_s: float = Field(default=10, gt=0, le=600)
    """How often the server is checked."""

    @field_validator("base_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("is not a URL such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password:
            raise ValueError("holds a password; set ANIMA_LLM_API_KEY_FILE instead")
        return url.rstrip("/")

    @classmethod
    def of(cls, settings: LlmSettings) -> Self:
        """Joins the variables with their preset.

        Raises:
            SettingsError: A value is wrong, or there is no server.
        """
        options = cls.read(settings)
        if not options.preset:
            if not options.base_url:
                raise SettingsError(
                    "ANIMA_LLM_BASE_URL: set the server's URL, or a preset by ANIMA_LLM_PRESET: "
                    + ", ".join(presets())
                )
            return options
        preset = presets().get(options.preset)
        if preset is None:
            raise SettingsError(
                f"ANIMA_LLM_PRESET: {options.preset!r} is not one of: {', '.join(presets())}"
            )
        defaults = preset.model_dump()
        given = {
            field: getattr(options, field) for field in options.model_fields_set & defaults.keys()
        }
        merged = defaults | given | {"extra": preset.extra | options.extra}
        return options.model_copy(update=merged)


@cache
def presets() -> dict[str, Preset]:
    """The presets by name."""
    tables = tomllib.loads(_PRESETS.read_text(encoding="utf-8"))
    return {name: Preset.model_validate(table) for name, table in tables.items()}
