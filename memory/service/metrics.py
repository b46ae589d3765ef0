"""The memory's own metrics, on the service's `/metrics`."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

FORGOTTEN_FACTS: Final = Counter("anima_memory_forgotten_facts", "Facts that ended by decay.")
ERASURES_TO_SCRUB: Final = Gauge(
    "anima_memory_erasures_to_scrub",
    "Erasures whose text may still be in unused parts of the files.",
)
SCRUB_SECONDS: Final = Histogram(
    "anima_memory_scrub_seconds",
    "Duration of removing erased data from the files.",
    buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300, 1_000, 3_000),
)
SET_ASIDE: Final = Counter(
    "anima_memory_set_aside",
    "Items that background work gave up on after three failed attempts.",
    ["work"],
)
SUMMARIES: Final = Counter("anima_memory_summaries", "Summaries made of old turns.")
FAILED_LLM_SUMMARIES: Final = Counter(
    "anima_memory_failed_llm_summaries",
    "Summaries made of sentences because the llm stage failed or its answer was rejected.",
)
FAILED_LLM_READINGS: Final = Counter(
    "anima_memory_failed_llm_readings",
    "Turns whose facts were extracted by rules because the llm stage failed.",
)
