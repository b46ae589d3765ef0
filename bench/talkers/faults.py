"""Faults that a run of conversations must not show, whatever the load of the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from bench.talkers.talking import Fate, Outcome

MAX_MORE_DESCRIPTORS: Final = 4


def faults_of(outcomes: Iterable[Outcome]) -> list[str]:
    """Lists the faults of questions: lost ones, and messages of older answers."""
    outcomes = list(outcomes)
    faults = [f"lost: {each.why}" for each in outcomes if each.fate is Fate.LOST]
    if stale := sum(each.stale for each in outcomes):
        faults.append(f"{stale} messages of older answers were received")
    return faults


def leftovers(*, tasks: int, descriptors: Mapping[str, int]) -> list[str]:
    """Lists the resources that are still held after the last conversation.

    Args:
        tasks: Tasks of the gateway beyond those before the first conversation.
        descriptors: For each process, how many more descriptors it holds than before.
    """
    faults = [f"{tasks} tasks were left in the gateway"] if tasks > 0 else []
    return faults + [
        f"{name} holds {more} descriptors more"
        for name, more in descriptors.items()
        if more > MAX_MORE_DESCRIPTORS
    ]
