"""Settings of the speech service."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from services.runtime.config.settings import ServiceSettings


class TtsSettings(ServiceSettings):
    """The settings of the speech service, read from `ANIMA_TTS_*`."""

    stage: ClassVar[str] = "tts"
    default_port: ClassVar[int] = 50054

    engine: str = "auto"
    """Names of engines in order of preference, separated by commas; "auto": for each language the
    most natural installed engine that speaks in time on this machine (docs/tts.md)."""
    capacity: int = Field(default=8, ge=1, le=10_000)
    """How many streams are spoken at the same time."""

    lead_silence_ms: int = Field(default=20, ge=0, le=1_000)
    """The longest silence before the first sound of a segment."""
    sentence_pause_ms: int = Field(default=250, ge=0, le=5_000)
    """The silence after a segment that ends a sentence, at a rate of 100 %."""
    clause_pause_ms: int = Field(default=120, ge=0, le=5_000)
    """The silence after a segment that ends with a comma or a similar mark, at a rate of 100 %."""
    joint_pause_ms: int = Field(default=40, ge=0, le=5_000)
    """The silence after a segment that ends without punctuation, at a rate of 100 %."""
