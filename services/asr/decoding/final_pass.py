"""Decides whether a segment that was decoded live is decoded again as a whole."""

from dataclasses import dataclass
from typing import ClassVar

from services.asr.engine import DECODER_RATE_HZ
from services.asr.settings import FinalPass


@dataclass(frozen=True, kw_only=True)
class FinalPassPolicy:
    """Decides whether a segment is decoded a second time as a whole.

    Attributes:
        mode: "always", "never", or "auto". "auto" decodes again if the result is expected at most
            `max_wait_ms` after the end of the utterance, and waits no longer than that.
        max_wait_ms: The maximum wait of "auto".
        head_start_ms: The time between a guess of the end and the end. The second pass starts at
            the guess, so this part of it delays nothing.
    """

    mode: FinalPass
    max_wait_ms: int
    head_start_ms: int

    def worth_it(self, expected_ms: float) -> bool:
        """Returns whether to start a pass that is expected to take `expected_ms`."""
        if self.mode == "auto":
            return expected_ms <= self.max_wait_ms + self.head_start_ms
        return self.mode == "always"


class DecoderSpeed:
    """How long a second pass takes on this machine, measured at run time."""

    USUAL_MS_PER_SECOND: ClassVar[float] = 200.0

    def __init__(self) -> None:
        self._ms_per_second = self.USUAL_MS_PER_SECOND

    def expected_ms(self, samples: int) -> float:
        """Returns the expected time for `samples` at 16 kHz."""
        return self._ms_per_second * samples / DECODER_RATE_HZ

    def learn(self, samples: int, took_ms: float) -> None:
        """Updates the estimate with a measurement."""
        self._approach(took_ms * DECODER_RATE_HZ / samples)

    def forget(self) -> None:
        """Moves the estimate towards the usual value after a pass was skipped.

        Otherwise a machine that was busy once would never try a second pass again.
        """
        self._approach(self.USUAL_MS_PER_SECOND)

    def _approach(self, ms_per_second: float) -> None:
        self._ms_per_second += 0.3 * (ms_per_second - self._ms_per_second)
