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
from services.runtime.config.settings import SettingsError
from services.runtime.engine_options import JsonObject

_PRESETS: Final = Path(__file__).with_name("presets.toml")


class Preset(BaseModel):
    """The defaults for a server; see presets.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str
    model: str
    extra: dict[str, Any] = {}
    salts: bool = False
    adapters: bool = False
    stream_usage: bool = True
    prefill: bool = False
    sees_pictures: bool = False


class OpenAiOptions(WritingOptions):
    """The options of the engine `openai`, read from `ANIMA_LLM_*`."""

    preset: str = ""
    """The name of a server in presets.toml, whose URL, model and further options become the
    defaults."""
    base_url: str = ""
    """The URL of the server, such as http://127.0.0.1:8000/v1."""
    model: str = ""
    """The model's name on the server."""
    salts: bool = False
    """Whether requests carry vLLM's `cache_salt`, which separates the prompt caches of users."""
    adapters: bool = False
    """Whether the adapter of a persona is requested as the model."""
    stream_usage: bool = True
    """Whether the server is asked for the token counts of a stream."""
    prefill: bool = False
    """Whether the server is asked to read a conversation as soon as the person speaks, with a
    request for one token. It needs a server that caches prompts, and one that charges for tokens
    charges for these too."""
    sees_pictures: bool = False
    """Whether the model can see pictures."""
    extra: JsonObject = Field(default={})
    """Further fields of each request; they override those of the preset."""
    connect_timeout_s: float = Field(default=5, gt=0, le=300)
    """The maximum time to connect."""
    first_token_timeout_s: float = Field(default=30, gt=0, le=600)
    """The maximum time from the request to the first event; a model that is reasoning already sends
    events."""
    between_tokens_timeout_s: float = Field(default=15, gt=0, le=600)
    """The maximum time between two events."""
    retries: int = Field(default=2, ge=0, le=10)
    """How many times a request is sent again before its first token."""
    max_retry_wait_s: float = Field(default=3, ge=0, le=60)
    """The longest pause that a server may ask for; beyond it the caller gets the error."""
    start_timeout_s: float = Field(default=120, ge=0, le=3600)
    """How long the service waits at start for a server that is not available yet."""
    health_interval_s: float = Field(default=10, gt=0, le=600)
    """How often the server is checked."""

    @field_validator("base_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("must be a URL such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password:
            raise ValueError("must not contain a password; set ANIMA_LLM_API_KEY_FILE instead")
        return url.rstrip("/")

    @classmethod
    def of(cls, settings: LlmSettings) -> Self:
        """Combines the variables with their preset.

        Raises:
            SettingsError: A value is invalid, or no server is set.
        """
        options = cls.read(settings)
        if not options.preset:
            if not options.base_url:
                raise SettingsError(
                    "ANIMA_LLM_BASE_URL: set the server's URL, or set ANIMA_LLM_PRESET to one of: "
                    + ", ".join(presets())
                )
            return options
        preset = presets().get(options.preset)
        if preset is None:
            raise SettingsError(
                f"ANIMA_LLM_PRESET: must be one of {', '.join(presets())}, got {options.preset!r}"
            )
        defaults = preset.model_dump()
        given = {
            field: getattr(options, field) for field in options.model_fields_set & defaults.keys()
        }
        merged = defaults | given | {"extra": preset.extra | options.extra}
        return options.model_copy(update=merged)


@cache
def presets() -> dict[str, Preset]:
    """Returns the presets by name."""
    tables = tomllib.loads(_PRESETS.read_text(encoding="utf-8"))
    return {name: Preset.model_validate(table) for name, table in tables.items()}
