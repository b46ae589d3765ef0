"""What engines that write freely can be told, read from the service's other `ANIMA_LLM_*`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from services.runtime.settings import SettingsError


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from None


def _split(value: object) -> object:
    return value.split("|") if isinstance(value, str) else value


JsonObject = Annotated[dict[str, Any], BeforeValidator(_parsed)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_split)]


class EngineOptions(BaseModel):
    """A frozen model of options; a field `top_p` is read from `ANIMA_LLM_TOP_P`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls, options: Mapping[str, str]) -> Self:
        """Reads the options.

        Raises:
            SettingsError: A value is wrong; the text names the variable.
        """
        try:
            return cls.model_validate(dict(options))
        except ValidationError as error:
            faults = [
                f"ANIMA_LLM_{str(fault['loc'][0]).upper() if fault['loc'] else '*'}: "
                + fault["msg"].removeprefix("Value error, ")
                for fault in error.errors(include_url=False)
            ]
            raise SettingsError("; ".join(faults)) from None


class WritingOptions(EngineOptions):
    """How a model writes and how much it reads."""

    temperature: float = Field(default=0.7, ge=0, le=2)
    """0: always the likeliest word."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Words beyond this share of probability are never chosen."""
    seed: int | None = None
    """With it, the same prompt gives the same answer, where the engine can."""
    max_tokens: int = Field(default=512, ge=1, le=32_768)
    """Longest answer in tokens, reasoning included."""
    stop: Texts = ()
    """Texts that end an answer, split at "|"."""
    context_tokens: int = Field(default=8_192, ge=256, le=10_000_000)
    """What the model can read and write, in tokens."""
    response_format: JsonObject | None = None
    """Structured output, as OpenAI's `response_format`; JSON."""
    opens_in_reasoning: bool = False
    """Whether the model's chat template itself opens `<think>`, so that only its end is written."""

    @property
    def prompt_tokens(self) -> int:
        """What is left for the prompt: at least half of the context."""
        return max(self.context_tokens - self.max_tokens, self.context_tokens // 2)
