"""What the gateway counts, for Prometheus."""

from __future__ import annotations

import asyncio

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)

FIRST_MEDIA_SECONDS = Histogram(
    "anima_gateway_first_media_seconds",
    "From the end of the question to the first media sent.",
    buckets=_SECONDS,
)
WAIT_SECONDS = Histogram(
    "anima_gateway_wait_seconds",
    "What each stage adds to the wait for the first media; the sums of a turn's stages are it.",
    ["stage"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0),
)
AV_OFFSET_SECONDS = Histogram(
    "anima_gateway_av_offset_seconds",
    "How far pictures and sound were apart at the client, by its own reports; the amount.",
    buckets=(0.005, 0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.125, 0.25, 0.5, 1.0),
)
TURNS = Counter("anima_gateway_turns", "Answers, by the reason of their end.", ["reason"])
STOP_SECONDS = Histogram(
    "anima_gateway_stop_seconds",
    "From an interruption to the confirmation of all stages.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
)
LATENESS_SECONDS = Histogram(
    "anima_gateway_media_lateness_seconds",
    "How much later than on the schedule media left.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0),
)
SILENCE_SECONDS = Histogram(
    "anima_gateway_silence_seconds",
    "From the start of speech or the command that stopped an answer until nothing more was sent.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
)
SPECULATIONS = Counter(
    "anima_gateway_speculations",
    "Answers begun on a guess that the person had finished.",
    ["result"],
)
HOLDS = Counter(
    "anima_gateway_holds", "Answers held because somebody spoke, by what became of it.", ["result"]
)
EVICTED = Counter(
    "anima_gateway_evicted", "Conversations that were ended because the client did not read."
)
UNDERRUNS = Counter("anima_gateway_underruns", "How often playback at a client ran dry.")
STALE_DROPPED = Counter(
    "anima_gateway_stale_dropped", "Messages of an old epoch that were dropped.", ["stage"]
)
STAGE_FAILURES = Counter(
    "anima_gateway_stage_failures", "Stages that could not do their part of a turn.", ["stage"]
)
STAGE_UP = Gauge("anima_gateway_stage_up", "1 while a stage works, 0 while it does not.", ["stage"])
REMEMBER = Counter(
    "anima_gateway_remember",
    "Turns on their way to the memory: queued, and what became of them.",
    ["result"],
)
REMEMBER_WAITING = Gauge(
    "anima_gateway_remember_waiting", "Turns that the memory has not confirmed yet."
)
SESSIONS = Gauge("anima_gateway_sessions", "Open conversations.")
TASKS = Gauge("anima_gateway_tasks", "Tasks of the event loop; they grow where something leaks.")


def count_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Shows the tasks of a loop from now on."""
    TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))


def stale_dropped(stage: str, count: int) -> None:
    """Counts messages of an old epoch."""
    if count:
        STALE_DROPPED.labels(stage).inc(count)
