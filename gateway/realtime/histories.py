"""What was said in conversations, kept for some minutes after their end: a page may come back.

A page that reloads or loses its network closes its session, which frees the place at once. When it
comes back under the same name the new session is opened with what was said, so that the digital
human still knows it. What of an answer was heard is for the session to say.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from gateway.realtime.client_events import ClientConfig

Said = tuple[str, str]
"""Who spoke ("user" or "assistant"), and the text."""

_MAX_SAID = 40
_MAX_CHARS = 16_000
_NAME_CHARS = 16


class Histories:
    """The conversations that were open last.

    Args:
        most: how many are kept.
        keep_s: how long one is kept after its last use.
        now: a monotonic clock, seconds.
    """

    def __init__(
        self, *, most: int, keep_s: float = 600.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._keep_s = keep_s
        self._now = now
        self._kept: OrderedDict[tuple[str, ...], tuple[float, list[Said]]] = OrderedDict()

    def take(self, config: ClientConfig) -> Sequence[Said]:
        """Returns what was said under the client's names; nothing if it is not known any more."""
        self._forget_old()
        key = _key(config)
        return list(self._kept[key][1]) if key in self._kept else []

    def keep(self, config: ClientConfig, said: Sequence[Said]) -> None:
        """Keeps what was said, oldest first, under the client's names."""
        # A short name could be guessed, and would hand a stranger the conversation.
        if not said or len(config.session_id) < _NAME_CHARS:
            return
        key = _key(config)
        kept = [(who, text[:_MAX_CHARS]) for who, text in said[-_MAX_SAID:]]
        self._kept[key] = (self._now(), kept)
        self._kept.move_to_end(key)
        self._forget_old()

    def _forget_old(self) -> None:
        oldest = self._now() - self._keep_s
        while self._kept and (
            len(self._kept) > self._most or next(iter(self._kept.values()))[0] < oldest
        ):
            self._kept.popitem(last=False)


def _key(config: ClientConfig) -> tuple[str, ...]:
    return (config.session_id, config.user_id, config.persona)
