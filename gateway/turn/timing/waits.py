"""The share of each stage in the time to the first media.

The stages of an answer overlap, so the lengths of their spans say little about the wait. Here each
moment of the wait belongs to the stage whose first output was awaited then, so that the shares add
up to the whole. A stage that was ready before the stage ahead of it has no share, such as an answer
that was started on a guess, or a face that waits for audio.
"""

from __future__ import annotations

from collections.abc import Sequence

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.stages.spec import STAGES, chain

_SPEECH = "tts"
CLAUSE = "clause"
PLAYOUT = "playout"


def parts() -> tuple[str, ...]:
    """Returns the parts of the wait, in the order in which they wait for each other.

    They are the stages in the order of their chain; the rest of the first clause after its first
    word, before speech synthesis; and at the end the way out of the gateway. The part "asr" covers
    the recognition of the words and the decision that the person has finished.
    """
    stages = list(chain())
    stages.insert(stages.index(_SPEECH), CLAUSE)
    return (*stages, PLAYOUT)


def waits_us(spans: Sequence[pb.StageSpan], first_media_us: int) -> dict[str, int]:
    """Divides the wait for the first media among the stages.

    Args:
        spans: The waterfall of the turn.
        first_media_us: From the end of the question to the first media, microseconds.

    Returns:
        Microseconds by stage, for all of `parts()`; their sum is `first_media_us`.
    """
    waits = {}
    reached = 0
    for part in parts():
        ready_us = min(_ready(part, spans, first_media_us), default=reached)
        moved = min(max(reached, ready_us), first_media_us)
        waits[part] = moved - reached
        reached = moved
    return waits


def _ready(part: str, spans: Sequence[pb.StageSpan], first_media_us: int) -> list[int]:
    if part == PLAYOUT:
        return [first_media_us]
    if part == CLAUSE:
        return [span.start_us for span in spans if span.stage == _SPEECH]
    ready = _ends if STAGES[part].hands_over_at_end else _outputs
    return ready(spans, part)


def _ends(spans: Sequence[pb.StageSpan], stage: str) -> list[int]:
    return [span.start_us + span.duration_us for span in spans if span.stage == stage]


def _outputs(spans: Sequence[pb.StageSpan], stage: str) -> list[int]:
    with_output = (each for each in spans if each.HasField("first_output_us"))
    return [span.first_output_us for span in with_output if span.stage == stage]
