"""What the person waited for: the parts of the time to the first media, which add up to it.

The stages of an answer overlap, so the lengths of their spans say little about the wait. Here each
moment of the wait belongs to the stage whose first output was waited for then. What was ready
before the one before it (an answer that was begun on a guess, a face that waits for audio) counts
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from anima.gateway.v1 import gateway_pb2 as pb

STAGES = ("asr", "memory", "llm", "clause", "tts", "avatar", "playout")
"""In the order in which they wait for each other. "asr" is the decision that the person has
finished, and what was said; "clause" the rest of the first clause after the first word."""


def waits_us(spans: Sequence[pb.StageSpan], first_media_us: int) -> dict[str, int]:
    """Divides the wait for the first media among the stages.

    Args:
        spans: The waterfall of the turn.
        first_media_us: From the end of the question to the first media, microseconds.

    Returns:
        Microseconds by stage, for every stage of `STAGES`; their sum is `first_media_us`.
    """
    ready = {
        "asr": _ends(spans, "asr"),
        "memory": _ends(spans, "memory"),
        "llm": _outputs(spans, "llm"),
        "clause": [span.start_us for span in spans if span.stage == "tts"],
        "tts": _outputs(spans, "tts"),
        "avatar": _outputs(spans, "avatar"),
        "playout": [first_media_us],
    }
    waits = {}
    reached = 0
    for stage in STAGES:
        ready_us = min(ready[stage], default=reached)
        moved = min(max(reached, ready_us), first_media_us)
        waits[stage] = moved - reached
        reached = moved
    return waits


def _ends(spans: Sequence[pb.StageSpan], stage: str) -> list[int]:
    return [span.start_us + span.duration_us for span in spans if span.stage == stage]


def _outputs(spans: Sequence[pb.StageSpan], stage: str) -> list[int]:
    with_output = (each for each in spans if each.HasField("first_output_us"))
    return [span.first_output_us for span in with_output if span.stage == stage]
