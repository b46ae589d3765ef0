"""The look of the face while it does not speak: idle, listening, or thinking.

The first frame of an answer continues a look, and the talking head must know which one when the
answer is started, long before any of it exists. So it is given the look that will be shown by then:
if answers come soon the look stays as it is, if they take long it is thinking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from anima.avatar.v1.avatar_pb2 import Activity
from anima.gateway.v1 import gateway_pb2 as pb

IDLE = Activity.ACTIVITY_IDLE
LISTENING = Activity.ACTIVITY_LISTENING
THINKING = Activity.ACTIVITY_THINKING

THINK_AFTER_S = 0.9
"""An answer that starts sooner needs no thinking look."""
_LONG_S = 1.2
_LISTEN_S = 10.0
_WEIGHT = 0.3


class Pace:
    """How long answers take to start, measured over all pages of a gateway.

    Attributes:
        wait_s: The time from the start of a turn to its first media, averaged over the last turns.
    """

    def __init__(self) -> None:
        self.wait_s = 0.5

    def began_after(self, wait_s: float) -> None:
        """Adds the wait of one more answer."""
        self.wait_s += _WEIGHT * (wait_s - self.wait_s)

    @property
    def long(self) -> bool:
        """Returns whether the thinking look will be shown before the answer starts."""
        return self.wait_s > _LONG_S


class Attention:
    """Tracks the look of one conversation.

    Args:
        pace: The pace of answers.
        changed: Called when another look is wanted.

    Attributes:
        wanted: The look that is wanted now.
    """

    def __init__(self, pace: Pace, *, changed: Callable[[], None]) -> None:
        self.wanted: Activity.ValueType = IDLE
        self._pace = pace
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None
        self._asked_at: float | None = None
        self._speaking = False

    @property
    def thinks_at_answer(self) -> bool:
        """Returns whether the look will be thinking at the start of an answer requested now."""
        return self._pace.long and (self._speaking or self._asked_at is not None)

    def note(self, response: pb.ConverseResponse) -> None:
        """Processes an event of the session."""
        kind = response.WhichOneof("event")
        if kind == "speech_started":
            self._listen()
        elif kind == "user_transcript" and self._speaking:
            self._listen()
            self._speaking = not response.user_transcript.final
        elif kind == "turn_started":
            self._speaking = False
            self.asked()
        elif kind == "media":
            self._answered()
        elif kind == "turn_ended":
            self._asked_at = None
            if not self._speaking:
                self._look(IDLE)
        elif kind in ("turn_resumed", "notice"):
            self._speaking = False
            self._look(IDLE)

    def asked(self) -> None:
        """Records that an answer is awaited; a second call for the same question has no effect."""
        if self._asked_at is not None:
            return
        self._asked_at = asyncio.get_running_loop().time()
        if self._pace.long:
            self._look(THINKING)
        else:
            self._after(THINK_AFTER_S, THINKING)

    def close(self) -> None:
        """Cancels a pending change."""
        if self._timer is not None:
            self._timer.cancel()

    def _answered(self) -> None:
        if self._asked_at is None:
            return
        self._pace.began_after(asyncio.get_running_loop().time() - self._asked_at)
        self._asked_at = None
        # The answer leaves the look by itself; another change now would be visible in its first
        # frame.
        self.close()
        self.wanted = IDLE

    def _listen(self) -> None:
        self._speaking = True
        self._look(LISTENING)
        # Speech in which nothing is recognised may end without an event.
        self._after(_LISTEN_S, IDLE)

    def _look(self, wanted: Activity.ValueType) -> None:
        self.close()
        self.wanted = wanted
        self._changed()

    def _after(self, delay_s: float, wanted: Activity.ValueType) -> None:
        self.close()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._look, wanted)
