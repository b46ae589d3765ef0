"""One pocketsphinx decoder, to be run as a script in a process of its own.

The binding holds Python's global lock for the whole of `process_raw` and `end_utt` (0.2 s at the
end of a seven-second utterance, over a second for decoding it at once), so in a thread it would
stop the event loop and every other stream. A process of its own also keeps a fatal error of the C
library (it calls `exit`) away from the service.

Requests on stdin: one byte that names the operation, four bytes of length (little-endian), payload.
Answers on stdout, in order: four bytes of length, JSON. The process ends at the end of its input.
"""

import contextlib
import json
import os
import signal
import struct
import sys
from typing import Any, BinaryIO

from pocketsphinx import Decoder

MEASURE, BEGIN, FEED, END, DECODE = b"M", b"B", b"F", b"E", b"D"
REQUEST_HEADER = struct.Struct("<cI")
ANSWER_HEADER = struct.Struct("<I")


class Recogniser:
    """A decoder with two searches: the language model, and a keyphrase that costs next to nothing.

    Before each utterance `reinit_feat` (0.1 ms) restores the features' first state: `feat_cmn` in
    feat.c switches a decoder that has streamed once to live mean normalisation for good, after
    which `full_utt=True` is ignored without a word (5.1.1; word errors on the recorded card
    commands rise from 5 % to 43 %). It also keeps one caller's means out of the next one's speech.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(loglevel="FATAL")
        self._language_model = self._decoder.current_search()
        self._decoder.add_keyphrase("mean", "hello")
        self._live = False

    def handle(self, operation: bytes, payload: bytes) -> dict[str, Any]:
        """Does one operation and returns its answer."""
        if operation == MEASURE:
            return self._measure(payload)
        if operation == BEGIN:
            return self._begin(payload.decode("ascii"))
        if operation == FEED:
            self._decoder.process_raw(payload)
            return {"words": self._words()}
        if operation == END:
            return self._end()
        if operation == DECODE:
            return self._decode(payload)
        raise ValueError(f"operation {operation!r} is unknown")

    def _measure(self, pcm: bytes) -> dict[str, Any]:
        self._decoder.activate_search("mean")
        self._decode_whole(pcm)
        self._decoder.activate_search(self._language_model)
        return {"mean": self._decoder.get_cmn(False)}

    def _begin(self, mean: str) -> dict[str, Any]:
        self._decoder.reinit_feat()
        if mean:
            self._decoder.set_cmn(mean)
        self._decoder.start_utt()
        self._live = True
        return {}

    def _end(self) -> dict[str, Any]:
        if not self._live:
            return {"words": []}
        self._live = False
        self._decoder.end_utt()
        return {"words": self._words()}

    def _decode(self, pcm: bytes) -> dict[str, Any]:
        self._decode_whole(pcm)
        return {"words": self._words(), "mean": self._decoder.get_cmn(False)}

    def _decode_whole(self, pcm: bytes) -> None:
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        if pcm:
            self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()

    def _words(self) -> list[tuple[str, int, int, float]]:
        segments = self._decoder.seg() if self._decoder.hyp() else None
        return [
            (segment.word, segment.start_frame, segment.end_frame, segment.prob)
            for segment in segments or ()
        ]


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests until they end."""
    recogniser = Recogniser()
    _answer(answers, {})
    while header := requests.read(REQUEST_HEADER.size):
        operation, length = REQUEST_HEADER.unpack(header)
        payload = requests.read(length)
        try:
            answer = recogniser.handle(operation, payload)
        except (RuntimeError, ValueError) as error:
            answer = {"error": str(error)}
        _answer(answers, answer)


def _answer(answers: BinaryIO, answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode()
    answers.write(ANSWER_HEADER.pack(len(body)) + body)
    answers.flush()


def main() -> None:
    """Serves on stdin and stdout; what the C library prints goes to stderr instead."""
    # A terminal's Ctrl-C and a supervisor's SIGTERM reach the whole group, but the service drains
    # its streams first and then closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, answers)
    os._exit(0)  # freeing 90 MB of models piece by piece would only delay the end of the service


if __name__ == "__main__":
    main()
