"""What was said in conversations whose connection ended, for some minutes: a page may come back.

A page that reloads or loses its network closes its session, which frees the place at once. When it
comes back under the same name the new session is given what was said, so that the digital human
still knows it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from anima.common.v1.common_pb2 import WordMark
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.realtime.client_events import ClientConfig

Said = tuple[str, str]
"""Who spoke ("user" or "assistant"), and the text."""

_MAX_SAID = 40
_MAX_CHARS = 16_000
_NAME_CHARS = 16


@dataclass
class Talked:
    """What was said in one conversation, as far as it was heard.

    Attributes:
        said: oldest first.
    """

    said: list[Said] = field(default_factory=list)
    _question: str = ""
    _turn_id: str = ""
    _text: str = ""
    _words: list[WordMark] = field(default_factory=list)

    def note(self, response: pb.ConverseResponse) -> None:
        """Takes an event of the session."""
        kind = response.WhichOneof("event")
        if kind == "turn_started":
            self._turn_id = response.turn_started.header.turn_id
            self._question, self._text, self._words = response.turn_started.question, "", []
        elif kind == "text_delta":
            self._text += response.text_delta.text
        elif kind == "marks":
            self._words += response.marks.words
        elif kind == "turn_ended" and response.turn_ended.header.turn_id == self._turn_id:
            self._end(response.turn_ended.heard_text)

    def cut(self, played: pb.PlaybackReport) -> None:
        """Ends an answer that is under way: only what had been played was heard."""
        played_samples = played.played_samples if played.turn_id == self._turn_id else 0
        begun = [w for w in self._words if w.samples.start_sample < played_samples]
        self._end(self._text[: begun[-1].chars.end_char] if begun else "")

    def _end(self, heard: str) -> None:
        if not self._turn_id:
            return
        self._turn_id = ""
        self.said.append(("user", self._question[:_MAX_CHARS]))
        if heard:
            self.said.append(("assistant", heard[:_MAX_CHARS]))
        del self.said[:-_MAX_SAID]


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
        """Keeps what was said; without a name of the client's own there is nothing to come back."""
        # A short name could be guessed, and would hand a stranger the conversation.
        if not said or len(config.session_id) < _NAME_CHARS:
            return
        key = _key(config)
        self._kept[key] = (self._now(), list(said))
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
