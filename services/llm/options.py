"""Options shared by all generative engines."""

from __future__ import annotations

from pydantic import Field

from services.runtime.engine_options import EngineOptions, JsonObject, Texts


class WritingOptions(EngineOptions):
    """Sampling options and limits of a model."""

    temperature: float = Field(default=0.7, ge=0, le=2)
    """How freely the model chooses words; 0: always the most probable one."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Words outside this share of the probability are never chosen."""
    seed: int | None = None
    """The same prompt and seed produce the same answer, if the engine supports it."""
    max_tokens: int = Field(default=512, ge=1, le=32_768)
    """The longest answer in tokens, reasoning included."""
    stop: Texts = ()
    """Texts that end an answer, separated by "|"."""
    context_tokens: int = Field(default=8_192, ge=256, le=10_000_000)
    """How many tokens the model can read and write."""
    response_format: JsonObject | None = None
    """Structured output, as OpenAI's `response_format`."""
    opens_in_reasoning: bool = False
    """Whether the chat template of the model opens `<think>` itself, so that the model writes only
    its end."""

    @property
    def prompt_tokens(self) -> int:
        """The tokens left for the prompt: at least half of the context."""
        return self.prompt_tokens_of(self.context_tokens)

    def prompt_tokens_of(self, context_tokens: int) -> int:
        """Returns the tokens left for the prompt by a model whose context may be shorter."""
        return max(context_tokens - self.max_tokens, context_tokens // 2)
