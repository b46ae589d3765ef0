"""Settings of the language-model service."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from services.runtime.settings import ServiceSettings

NO_MODEL: Final = "none"


class LlmSettings(ServiceSettings):
    """What the language-model service reads from `ANIMA_LLM_*`."""

    stage: ClassVar[str] = "llm"
    default_port: ClassVar[int] = 50052

    engine: str = "retrieval"
    capacity: int = Field(default=16, ge=1, le=10_000)

    default_persona: str = "anima"
    """The persona that answers when a request names none; without it, the first by name."""

    word_interval_ms: int = Field(default=12, ge=0, le=5_000)
    """Pause between words of engines that need no time to think."""

    embedding_model: str = "minilm-l6-v2"
    """Model of the store that compares meanings; "none": compare words only."""
