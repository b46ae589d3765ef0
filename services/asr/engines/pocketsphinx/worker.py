"""One pocketsphinx decoder, run as a script in a process of its own.

The binding holds the GIL for the whole of `process_raw` and `end_utt` (0.2 s at the end of a
seven-second utterance, over a second to decode it at once), so in a thread it would block the
event loop and every other stream. A separate process also keeps a fatal error of the C library
(it calls `exit`) away from the service.
"""

import math
from typing import Any

from pocketsphinx import Decoder

from services.asr.processes.operations import BEGIN, BEGIN_SAME_SPEAKER, DECODE, END, FEED
from services.asr.processes.serving import serve

BYTES_PER_FRAME = 320
MEASURE_BYTES = 25 * BYTES_PER_FRAME
MEAN_FRAMES = 500


class SpeakerMean:
    """The cepstral mean of a speaker and room, measured while they are heard.

    Live decoding subtracts a mean that the decoder guesses and adapts slowly (over 5 s), which is
    the largest source of errors; decoding a whole utterance subtracts its true mean. Therefore the
    true mean of the audio so far is measured every quarter of a second, by a second decoder that
    only looks for a keyphrase (12 ms per second of audio). On 12 recordings this lowered the live
    word error rate from 30 % to 24 %; decoding the whole utterance reaches 23 %.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(loglevel="FATAL", lm=None, keyphrase="hello")
        self._values: list[float] = []
        self._frames = 0

    def forget(self) -> None:
        """Resets the mean for another speaker."""
        self._values = []
        self._frames = 0

    def hear(self, pcm: bytes) -> None:
        """Includes more audio of the speaker."""
        frames = len(pcm) // BYTES_PER_FRAME
        values = [float(value) for value in measure_mean(self._decoder, pcm).split(",")]
        if not frames or not all(math.isfinite(value) for value in values):
            return
        total = self._frames + frames
        self._values = [
            (old * self._frames + new * frames) / total
            for old, new in zip(self._values or values, values, strict=True)
        ]
        self._frames = min(total, MEAN_FRAMES)

    def __str__(self) -> str:
        """Returns the mean in the format of `set_cmn`; empty before any audio was heard."""
        return ",".join(f"{value:.6g}" for value in self._values)


def measure_mean(decoder: Decoder, pcm: bytes) -> str:
    """Decodes a piece of audio as a whole and returns its cepstral mean."""
    decode_whole(decoder, pcm)
    mean: str = decoder.get_cmn(False)
    return mean


def decode_whole(decoder: Decoder, pcm: bytes) -> None:
    """Decodes audio that is already complete."""
    decoder.reinit_feat()
    decoder.start_utt()
    if pcm:
        decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


class Recogniser:
    """A decoder with the language model, fed live or with a complete segment.

    Before each utterance `reinit_feat` (0.1 ms) restores the initial state of the features. Without
    it, `feat_cmn` in feat.c permanently switches a decoder that has streamed once to live mean
    normalisation, after which `full_utt=True` is silently ignored (5.1.1; word errors on the
    recorded card commands rise from 5 % to 43 %). It also keeps one caller's means out of the next
    caller's speech.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(loglevel="FATAL")
        self._mean = SpeakerMean()
        self._live = False
        self._not_measured = b""

    def handle(self, operation: bytes, payload: bytes) -> dict[str, Any]:
        """Runs one operation and returns its answer."""
        if operation in (BEGIN, BEGIN_SAME_SPEAKER):
            self._begin(same_speaker=operation == BEGIN_SAME_SPEAKER)
            return {}
        if operation == FEED:
            self._feed(payload)
        elif operation == END:
            self._end()
        elif operation == DECODE:
            decode_whole(self._decoder, payload)
        else:
            raise ValueError(f"unknown operation {operation!r}")
        return {"words": self._words()}

    def _begin(self, *, same_speaker: bool) -> None:
        if not same_speaker:
            self._mean.forget()
        self._not_measured = b""
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        self._live = True

    def _feed(self, pcm: bytes) -> None:
        self._not_measured += pcm
        if len(self._not_measured) >= MEASURE_BYTES or not str(self._mean):
            self._mean.hear(self._not_measured)
            self._not_measured = b""
            if str(self._mean):
                self._decoder.set_cmn(str(self._mean))
        self._decoder.process_raw(pcm)

    def _end(self) -> None:
        if self._live:
            self._live = False
            self._decoder.end_utt()

    def _words(self) -> list[tuple[str, int, int, float]]:
        segments = self._decoder.seg() if self._decoder.hyp() else None
        return [
            (segment.word, segment.start_frame, segment.end_frame, segment.prob)
            for segment in segments or ()
        ]


if __name__ == "__main__":
    serve(lambda: Recogniser().handle)
