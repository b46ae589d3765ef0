"""What the memory measures of itself, on the service's `/metrics`."""

from typing import Final

from prometheus_client import Counter

FORGOTTEN_FACTS: Final = Counter(
    "anima_memory_forgotten_facts", "Facts that were forgotten by time and use."
)
SUMMARIES: Final = Counter("anima_memory_summaries", "Summaries that were made of old turns.")
FAILED_LLM_SUMMARIES: Final = Counter(
    "anima_memory_failed_llm_summaries",
    "Summaries made of sentences because the llm stage failed or wrote what was not said.",
)
FAILED_LLM_READINGS: Final = Counter(
    "anima_memory_failed_llm_readings",
    "Turns whose facts the rules read because the llm stage failed.",
)
