"""Metrics of the avatar service, in addition to those of its calls, in the process registry."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

FRAMES = Counter("anima_avatar_frames", "Frames drawn and encoded.", ("engine",))
REAL_TIME_FACTOR = Histogram(
    "anima_avatar_real_time_factor",
    "Drawing and encoding time over playing time per turn; above 1 the face cannot keep up.",
    ("engine",),
    buckets=(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 5),
)
