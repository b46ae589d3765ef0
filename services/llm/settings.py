"""Settings of the language-model service."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final, Self

from pydantic import Field, model_validator

from retrieval.encoders import DEFAULT_ENCODER, ENGLISH_ENCODER
from services.runtime.config.settings import ServiceSettings

NO_MODEL: Final = "none"


class LlmSettings(ServiceSettings):
    """What the language-model service reads from `ANIMA_LLM_*`."""

    stage: ClassVar[str] = "llm"
    default_port: ClassVar[int] = 50052

    engine: str = "retrieval"
    """The name of an engine: an entry point in `anima.llm.engines`."""
    capacity: int = Field(default=16, ge=1, le=10_000)
    """How many answers are generated at the same time."""

    default_persona: str = "anima"
    """The persona that answers when a request names none; if it does not exist, the first by
    name."""

    word_interval_ms: int = Field(default=12, ge=0, le=5_000)
    """The pause between words of engines that need no time to think."""

    embedding_model: str = DEFAULT_ENCODER
    """The model in the model store that compares meanings; "minilm-l6-v2" knows English only;
    "none": only words are compared."""
    english_model: str = ENGLISH_ENCODER
    """A model that compares English questions together with that one: it knows English better, but
    takes 130 MB more. "none": the one for all languages alone."""

    api_key: str | None = Field(default=None, repr=False)
    """The key for the server of a model. It is never logged."""
    api_key_file: Path | None = None
    """A file that holds the key; it may change while the service runs."""

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.api_key and self.api_key_file:
            raise ValueError("api_key: ANIMA_LLM_API_KEY_FILE is set too; set one of them")
        if self.api_key is not None and not is_api_key(self.api_key):
            raise ValueError("api_key: only printable ASCII without spaces can be a key")
        return self


def is_api_key(text: str) -> bool:
    """Reports whether a text can be sent as a key: printable ASCII without spaces."""
    return text.isascii() and text.isprintable() and " " not in text
