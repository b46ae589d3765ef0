"""An event loop whose clock jumps to the next timer: minutes of pacing run in milliseconds.

Only for code that waits for timers and for other tasks of the loop: time passes whenever nothing is
ready.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits; adds the requested wait to the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("every task waits and no timer runs: this would hang for ever")
            self.now_s += max(0.0, timeout)
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop; its time starts at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def stall(self, duration_s: float) -> None:
        """Lets time pass while no task runs, as a loop does that something blocks."""
        self._jumping.now_s += duration_s


def in_virtual_time(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine function to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main())
