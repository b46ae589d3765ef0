"""The position of playback that a client reports, and the text of an answer up to a position."""

from __future__ import annotations

from collections.abc import Sequence

from anima.common.v1 import common_pb2 as common

# A player that reports the same position for longer than this is not playing.
STUCK_S = 0.5


class Playback:
    """How far a client has played a turn, by its reports: a pure state machine.

    Reports are clamped: never beyond what had been sent, never backwards. Between two reports, and
    when no more arrive, the position moves at the pace of the schedule; a client that keeps
    reporting the same position has stopped.

    Attributes:
        reported: The furthest position that was reported, samples; None before the first report.
    """

    def __init__(self) -> None:
        self.reported: int | None = None
        self._scheduled = 0
        self._moved_at = 0.0
        self._reported_at = 0.0

    def report(self, played: int, *, sent: int, scheduled: int, now: float) -> None:
        """Processes a report.

        Args:
            played: The first sample that was not played, by the client's report.
            sent: The first sample that has not been sent.
            scheduled: The first sample that was not played by the schedule.
            now: The time on the loop's clock, seconds.
        """
        played = min(played, sent)
        if self.reported is None or played > self.reported:
            self.reported, self._scheduled, self._moved_at = played, scheduled, now
        self._reported_at = now

    @property
    def stuck(self) -> bool:
        """True if the client keeps reporting but does not play."""
        return self.reported is not None and self._reported_at - self._moved_at > STUCK_S

    def position(self, *, sent: int, scheduled: int) -> int:
        """Returns the first sample that has not been played; without reports, by the schedule."""
        if self.reported is None:
            return scheduled
        if self.stuck:
            return self.reported
        return min(sent, self.reported + max(0, scheduled - self._scheduled))


def heard_text(text: str, words: Sequence[common.WordMark], played_samples: int) -> str:
    """Cuts an answer at the last word that was heard.

    A word counts as heard when at least half of it was played. Punctuation directly after a heard
    word, such as a full stop, stays with it.

    Args:
        text: The answer.
        words: Marks of its words in order; spans in code points of `text` and samples of the turn.
        played_samples: The first sample that was not played.

    Returns:
        The start of `text` up to the last heard word; empty if none was heard.
    """
    end = 0
    for word in words:
        middle = word.samples.start_sample + word.samples.sample_count / 2
        if word.HasField("chars") and played_samples > middle:
            end = max(end, word.chars.end_char)
    if end == 0:
        return ""
    while end < len(text) and not (text[end].isspace() or text[end].isalnum()):
        end += 1
    return text[:end]
