"""Whether a segment that was decoded while it was spoken is decoded once more as a whole."""

from dataclasses import dataclass
from typing import ClassVar

from services.asr.engine import DECODER_RATE_HZ
from services.asr.settings import FinalPass


@dataclass(frozen=True, kw_only=True)
class FinalPassPolicy:
    """Whether a segment is decoded a second time as a whole.

    Attributes:
        mode: "always" and "never" say it; "auto" decodes again when the result will be there
            `max_wait_ms` after the end of the utterance at the latest, and does not wait longer.
        max_wait_ms: The bound of "auto".
        head_start_ms: What passes between a guess of the end and the end: the second pass starts at
            the guess, and this part of it costs nobody time.
    """

    mode: FinalPass
    max_wait_ms: int
    head_start_ms: int

    def worth_it(self, expected_ms: float) -> bool:
        """Says whether to start a pass that will take `expected_ms`."""
        if self.mode == "auto":
            return expected_ms <= self.max_wait_ms + self.head_start_ms
        return self.mode == "always"


class DecoderSpeed:
    """How long a second pass takes on this machine, learned as it goes."""

    USUAL_MS_PER_SECOND: ClassVar[float] = 200.0

    def __init__(self) -> None:
        self._ms_per_second = self.USUAL_MS_PER_SECOND

    def expected_ms(self, samples: int) -> float:
        """How long `samples` at 16 kHz will take."""
        return self._ms_per_second * samples / DECODER_RATE_HZ

    def learn(self, samples: int, took_ms: float) -> None:
        """Takes a measurement into account."""
        self._approach(took_ms * DECODER_RATE_HZ / samples)

    def forget(self) -> None:
        """Trusts the measurements less, after a pass that was not made.

        Otherwise a machine that was busy once would never try a second pass again.
        """
        self._approach(self.USUAL_MS_PER_SECOND)

    def _approach(self, ms_per_second: float) -> None:
        self._ms_per_second += 0.3 * (ms_per_second - self._ms_per_second)
