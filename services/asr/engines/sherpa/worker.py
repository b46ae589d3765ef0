"""The process of sherpa-onnx, which all streams share.

The library ends its process when a model has the wrong metadata, so it never runs in the service.
The argument is a JSON object: `kind`, `paths`, `threads` and `itn`. A payload begins with the
number of the stream, four bytes (little-endian); audio is mono int16 at 16 kHz.
"""

import json
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import sherpa_onnx
from numpy.typing import NDArray

from services.asr.processes.operations import DECODE, DROP, END, FEED
from services.asr.processes.serving import Handler, serve

STREAM = struct.Struct("<I")
RATE_HZ = 16_000
TAIL_S = 0.8
"""Silence after the end, so that the last word is complete."""


class WholeRecogniser:
    """SenseVoice, which decodes complete segments."""

    def __init__(self, paths: dict[str, str], *, threads: int, itn: bool) -> None:
        self._recogniser = sherpa_onnx.OfflineRecognizer.from_sense_voice(
            **paths, num_threads=threads, use_itn=itn, language="auto"
        )

    def handle(self, operation: bytes, payload: bytes) -> dict[str, Any]:
        """Runs one operation and returns its answer."""
        if operation != DECODE:
            raise ValueError(f"unknown operation {operation!r}")
        stream = self._recogniser.create_stream()
        stream.accept_waveform(RATE_HZ, _audio(payload[STREAM.size :]))
        self._recogniser.decode_stream(stream)
        result = stream.result
        return {
            "text": result.text,
            "tokens": list(result.tokens),
            "starts_s": list(result.timestamps),
            "language": result.lang,
        }


class LiveRecogniser:
    """A streaming model: Paraformer or a transducer such as Zipformer."""

    def __init__(self, make: Callable[..., Any], paths: dict[str, str], *, threads: int) -> None:
        self._recogniser = make(**paths, num_threads=threads)
        self._streams: dict[int, Any] = {}

    def handle(self, operation: bytes, payload: bytes) -> dict[str, Any]:
        """Runs one operation and returns its answer."""
        (number,) = STREAM.unpack_from(payload)
        if operation == FEED:
            if number not in self._streams:
                self._streams[number] = self._recogniser.create_stream()
            return self._hear(self._streams[number], payload[STREAM.size :])
        stream = self._streams.pop(number, None)
        if operation == DROP or stream is None:
            return {"text": "", "tokens": [], "starts_s": []}
        if operation != END:
            raise ValueError(f"unknown operation {operation!r}")
        stream.accept_waveform(RATE_HZ, np.zeros(round(TAIL_S * RATE_HZ), np.float32))
        stream.input_finished()
        return self._hear(stream, b"")

    def _hear(self, stream: Any, pcm: bytes) -> dict[str, Any]:
        if pcm:
            stream.accept_waveform(RATE_HZ, _audio(pcm))
        while self._recogniser.is_ready(stream):
            self._recogniser.decode_stream(stream)
        return {
            "text": self._recogniser.get_result(stream),
            "tokens": list(self._recogniser.tokens(stream)),
            "starts_s": list(self._recogniser.timestamps(stream)),
        }


def _audio(pcm: bytes) -> NDArray[np.float32]:
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)


def load() -> Handler:
    """Loads the model that the argument names."""
    given = json.loads(sys.argv[1])
    paths, threads = given["paths"], given["threads"]
    match given["kind"]:
        case "sense_voice":
            return WholeRecogniser(paths, threads=threads, itn=given["itn"]).handle
        case "paraformer":
            make = sherpa_onnx.OnlineRecognizer.from_paraformer
        case _:
            make = sherpa_onnx.OnlineRecognizer.from_transducer
    return LiveRecogniser(make, paths, threads=threads).handle


if __name__ == "__main__":
    serve(load)
