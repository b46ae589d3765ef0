"""Histories of conversations, kept for some minutes after their end so that a page can resume.

A page that reloads or loses its network closes its session, which frees the place at once. When it
comes back under the same name, the new session is opened with the history, so that the digital
human still knows it. The session decides which part of an answer was heard.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from gateway.realtime.client_events import ClientConfig

Said = tuple[str, str]
"""The speaker ("user" or "assistant") and the text."""

_MAX_SAID = 40
_MAX_CHARS = 16_000
_NAME_CHARS = 16


class Histories:
    """The histories of the most recent conversations.

    Args:
        most: The most histories that are kept.
        keep_s: How long a history is kept after its last use, seconds.
        now: A monotonic clock, seconds.
    """

    def __init__(
        self, *, most: int, keep_s: float = 600.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._keep_s = keep_s
        self._now = now
        self._kept: OrderedDict[tuple[str, ...], tuple[float, list[Said]]] = OrderedDict()

    def take(self, config: ClientConfig) -> Sequence[Said]:
        """Returns the messages under the client's names; empty if they are no longer kept."""
        self._forget_old()
        key = _key(config)
        return list(self._kept[key][1]) if key in self._kept else []

    def keep(self, config: ClientConfig, said: Sequence[Said]) -> None:
        """Keeps messages, oldest first, under the client's names."""
        # A short name could be guessed, which would reveal the conversation to a stranger.
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
