"""The gateway's metrics for Prometheus."""

from __future__ import annotations

import asyncio

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)

FIRST_MEDIA_SECONDS = Histogram(
    "anima_gateway_first_media_seconds",
    "Time from the end of the question to the first media sent.",
    buckets=_SECONDS,
)
WAIT_SECONDS = Histogram(
    "anima_gateway_wait_seconds",
    "Each stage's share of the wait for the first media; a turn's shares add up to the wait.",
    ["stage"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0),
)
AV_OFFSET_SECONDS = Histogram(
    "anima_gateway_av_offset_seconds",
    "Absolute audio/video offset at the client, as the client reports it.",
    buckets=(0.005, 0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.125, 0.25, 0.5, 1.0),
)
TURNS = Counter("anima_gateway_turns", "Answers, by the reason why they ended.", ["reason"])
STOP_SECONDS = Histogram(
    "anima_gateway_stop_seconds",
    "Time from an interruption until all stages have confirmed it.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
)
LATENESS_SECONDS = Histogram(
    "anima_gateway_media_lateness_seconds",
    "How much later than scheduled media was sent.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0),
)
SILENCE_SECONDS = Histogram(
    "anima_gateway_silence_seconds",
    "Time from the speech or command that stopped an answer until nothing more was sent.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
)
SPECULATIONS = Counter(
    "anima_gateway_speculations",
    "Answers started on a guess that the person had finished.",
    ["result"],
)
PREFILLS = Counter(
    "anima_gateway_prefills",
    "Conversations that the language model was asked to read while the person spoke.",
    ["result"],
)
HOLDS = Counter(
    "anima_gateway_holds", "Answers paused because somebody spoke, by outcome.", ["result"]
)
HTTP_CLOSED = Counter(
    "anima_gateway_http_closed",
    "HTTP connections closed before their client was authenticated, by reason.",
    ["reason"],
)
EVICTED = Counter("anima_gateway_evicted", "Conversations ended because the client did not read.")
UNDERRUNS = Counter("anima_gateway_underruns", "Playback buffer underruns at clients.")
STALE_DROPPED = Counter(
    "anima_gateway_stale_dropped", "Dropped messages of an old epoch.", ["stage"]
)
STAGE_FAILURES = Counter(
    "anima_gateway_stage_failures", "Stages that could not do their part of a turn.", ["stage"]
)
STAGE_UP = Gauge("anima_gateway_stage_up", "1 while a stage works, 0 while it does not.", ["stage"])
REMEMBER = Counter(
    "anima_gateway_remember",
    "Turns sent to the memory, by outcome.",
    ["result"],
)
REMEMBER_WAITING = Gauge(
    "anima_gateway_remember_waiting", "Turns that the memory has not confirmed yet."
)
SESSIONS = Gauge("anima_gateway_sessions", "Open conversations.")
TASKS = Gauge("anima_gateway_tasks", "Tasks of the event loop; steady growth means a leak.")


def count_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Starts reporting the tasks of a loop."""
    TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))


def stale_dropped(stage: str, count: int) -> None:
    """Counts messages of an old epoch."""
    if count:
        STALE_DROPPED.labels(stage).inc(count)
