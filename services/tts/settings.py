"""Settings of the speech service."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from services.runtime.settings import ServiceSettings


class TtsSettings(ServiceSettings):
    """What the speech service reads from `ANIMA_TTS_*`."""

    stage: ClassVar[str] = "tts"
    default_port: ClassVar[int] = 50054

    engine: str = "auto"
    """Names of engines by falling preference, with commas between; "auto": flite where its library
    is installed, then eSpeak NG, then every other installed one."""
    capacity: int = Field(default=8, ge=1, le=10_000)

    lead_silence_ms: int = Field(default=20, ge=0, le=1_000)
    """The most silence before the first sound of a segment."""
    sentence_pause_ms: int = Field(default=250, ge=0, le=5_000)
    """Silence after a segment that ends a sentence; this and the next two at 100 % rate."""
    clause_pause_ms: int = Field(default=120, ge=0, le=5_000)
    """Silence after a segment that ends with a comma or its like."""
    joint_pause_ms: int = Field(default=40, ge=0, le=5_000)
    """Silence after a segment that ends without punctuation."""
