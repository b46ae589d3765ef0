"""How much of an answer was heard, by the client's reports or, without them, the schedule."""

from __future__ import annotations

import asyncio

from anima.gateway.v1 import gateway_pb2 as pb
from gateway import metrics
from gateway.turn.playout.playback import Playback, heard_text
from gateway.turn.playout.schedule import Schedule
from gateway.turn.state import TurnState

# After the end of the schedule, a client that reports playback may finish as long as it plays.
_REPORT_SILENCE_S = 1.0
_REPORT_TOLERANCE_S = 0.5


class Heard:
    """Tracks how much of one answer was heard.

    Args:
        state: The answer in progress.
        schedule: Its playout clock.
        sample_rate_hz: Samples per second of its audio.
    """

    def __init__(self, state: TurnState, *, schedule: Schedule, sample_rate_hz: int) -> None:
        self._state = state
        self._schedule = schedule
        self._tolerance_samples = round(_REPORT_TOLERANCE_S * sample_rate_hz)
        self._playback = Playback()
        self._reported = asyncio.Event()
        self._underruns = 0

    def report(self, report: pb.PlaybackReport) -> None:
        """Processes a client's report: how far it has played, and how often its buffer ran dry."""
        self._playback.report(
            report.played_samples,
            sent=self._schedule.sent_samples,
            scheduled=self._schedule.played_samples(),
            now=asyncio.get_running_loop().time(),
        )
        metrics.UNDERRUNS.inc(max(0, report.underruns - self._underruns))
        self._underruns = max(report.underruns, self._underruns)
        if report.HasField("av_offset_us"):
            metrics.AV_OFFSET_SECONDS.observe(abs(report.av_offset_us) / 1e6)
        self._reported.set()

    async def until_reported(self) -> None:
        """Waits until a client that sends reports has played nearly everything, or has stopped.

        A client that keeps reporting the same position is treated like one that sends no reports.
        """
        end = self._schedule.sent_samples - self._tolerance_samples
        while (reported := self._playback.reported) is not None and reported < end:
            try:
                async with asyncio.timeout(_REPORT_SILENCE_S):
                    while self._playback.reported == reported:
                        self._reported.clear()
                        await self._reported.wait()
            except TimeoutError:
                return

    def samples(self) -> int:
        """Returns the first sample that has not been played."""
        schedule = self._schedule
        return self._playback.position(
            sent=schedule.sent_samples, scheduled=schedule.played_samples()
        )

    def text(self, *, complete: bool) -> str:
        """Returns the text that the person has heard.

        Args:
            complete: Everything was made and played.
        """
        state = self._state
        if not state.question.speech or (complete and not self._playback.stuck):
            return state.text
        return heard_text(state.text, state.words, self.samples())
