"""Metrics of the generative engines, on the service's `/metrics`."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_ENGINE: Final = ("engine",)

PROMPT_TOKENS: Final = Counter("anima_llm_prompt_tokens", "Tokens of prompts.", _ENGINE)
CACHED_TOKENS: Final = Counter(
    "anima_llm_cached_prompt_tokens", "Tokens of prompts found in the engine's cache.", _ENGINE
)
ANSWER_TOKENS: Final = Counter("anima_llm_answer_tokens", "Tokens that were generated.", _ENGINE)
PREFILLED_TOKENS: Final = Counter(
    "anima_llm_prefilled_tokens",
    "Tokens of prompts read before their question was complete.",
    _ENGINE,
)
FIRST_TOKEN_SECONDS: Final = Histogram(
    "anima_llm_first_token_seconds",
    "From the question to the model's first token, including reasoning.",
    _ENGINE,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30),
)
RETRIES: Final = Counter("anima_llm_retries", "Requests that were retried.", _ENGINE)
ABORTS: Final = Counter("anima_llm_aborts", "Answers stopped before their end.", _ENGINE)
DROPPED: Final = Counter(
    "anima_llm_dropped_from_prompts",
    "Messages and memories that did not fit the model's context.",
    (*_ENGINE, "what"),
)
ENGINE_UP: Final = Gauge("anima_llm_engine_up", "1 while the engine can answer.", _ENGINE)
ENGINE_RESTARTS: Final = Counter(
    "anima_llm_engine_restarts", "Restarts of an engine after its process died.", _ENGINE
)
