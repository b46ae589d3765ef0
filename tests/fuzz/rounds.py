"""Rounds of generated input: one with a fixed seed, or as many as fit into a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

FIXED_SEED: Final = 1
MINUTES: Final = float(os.environ.get("FUZZ_MINUTES", "10"))
"""The time of all long fuzz tests together."""


def seeds(share: float) -> Iterator[int]:
    """Yields seeds until a share of `MINUTES` has passed; at least one.

    Args:
        share: From 0 to 1.
    """
    end_s = time.monotonic() + 60 * MINUTES * share
    number = FIXED_SEED
    while True:
        number += 1
        yield number
        if time.monotonic() > end_s:
            return


def one_round(
    check: Callable[[Any], None], strategy: SearchStrategy[Any], *, examples: int, number: int
) -> None:
    """Calls `check` with drawn examples.

    Examples are not shrunk: a server that has failed once does not fail again in the same way.

    Args:
        check: Raises if an example shows a fault.
        strategy: What is drawn.
        examples: How many.
        number: The seed.
    """

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def checked(example: Any) -> None:
        check(example)

    try:
        checked()
    except BaseException as error:
        error.add_note(f"seed {number}, {examples} examples")
        raise
