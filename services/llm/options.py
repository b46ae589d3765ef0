"""Options that all engines share which let a model write freely."""

from __future__ import annotations

from pydantic import Field

from services.runtime.engine_options import EngineOptions, JsonObject, Texts


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
