"""Requests and responses on a stream, for the conformance suite of the recogniser."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

import grpc
import jiwer
import numpy as np
import soxr
from numpy.typing import NDArray

from anima.asr.v1 import (
    AsrServiceStub,
    EndOfSpeech,
    RecognizeConfig,
    RecognizeRequest,
    RecognizeResponse,
)
from anima.common.v1 import AudioChunk, ChunkHeader, Interrupt
from testing.speech.recordings import RATE_HZ
from text.normal import normal

if TYPE_CHECKING:
    from anima.asr.v1.asr_pb2_grpc import AsrServiceAsyncStub

TURN_ID = "turn-1"
_SPELLING = {"mister": "mr", "metres": "meters"}

_LETTERS = {
    "started": "S",
    "speech_started": "s",
    "partial": "p",
    "end_guess": "g",
    "speech_resumed": "r",
    "final": "f",
    "interrupted": "i",
}
_OPEN_UTTERANCE = r"s p* (g+ r p*)* g*"
_ORDER = re.compile(rf"S (({_OPEN_UTTERANCE} (f|i)) | i)* ({_OPEN_UTTERANCE})?", flags=re.VERBOSE)


def stub_of(channel: grpc.aio.Channel) -> AsrServiceAsyncStub:
    """The calls of the service, typed for asyncio."""
    return cast("AsrServiceAsyncStub", AsrServiceStub(channel))


def config(**fields: object) -> RecognizeRequest:
    """Returns the first message; 16 kHz by default."""
    values: dict[str, object] = {"turn_id": TURN_ID, "sample_rate_hz": RATE_HZ}
    return RecognizeRequest(config=RecognizeConfig(**(values | fields)))  # type: ignore[arg-type]


def audio(
    samples: NDArray[np.int16],
    *,
    from_sample: int = 0,
    rate_hz: int = RATE_HZ,
    chunk_samples: int | None = None,
    epoch: int = 0,
) -> Iterator[RecognizeRequest]:
    """Messages of 100 ms, or of `chunk_samples`, with the clock running from `from_sample`."""
    step = chunk_samples or rate_hz // 10
    for sequence, start in enumerate(range(0, len(samples), step), start=1):
        chunk = AudioChunk(
            header=ChunkHeader(turn_id=TURN_ID, epoch=epoch, sequence=sequence),
            start_sample=from_sample + start,
            sample_rate_hz=rate_hz,
            pcm=samples[start : start + step].astype("<i2").tobytes(),
        )
        yield RecognizeRequest(audio=chunk)


def end_of_speech() -> RecognizeRequest:
    """The person has finished."""
    return RecognizeRequest(end_of_speech=EndOfSpeech())


def interrupt(epoch: int) -> RecognizeRequest:
    """Drops the open utterance."""
    return RecognizeRequest(interrupt=Interrupt(epoch=epoch))


async def recognise(
    channel: grpc.aio.Channel, requests: Iterable[RecognizeRequest]
) -> list[RecognizeResponse]:
    """Sends the messages and returns the responses, after checking their form."""
    sent = list(requests)
    responses = [response async for response in stub_of(channel).Recognize(iter(sent))]
    check_form(responses)
    if any(request.HasField("end_of_speech") for request in sent):
        check_end(responses)
    return responses


def check_end(responses: Sequence[RecognizeResponse]) -> None:
    """A stream that is asked to end does so only after the result of the utterance."""
    closed = [each for each in kinds(responses) if each in ("speech_started", "final")]
    assert closed[-1:] != ["speech_started"], "the stream ended within an utterance"


def check_form(responses: Sequence[RecognizeResponse]) -> None:
    """Order of events, headers, and the spans of transcripts."""
    order = "".join(_LETTERS[kind(response)] for response in responses)
    assert _ORDER.fullmatch(order), order
    sequences = [response.header.sequence for response in responses]
    assert sequences == list(range(1, len(responses) + 1))
    for response in responses:
        assert response.header.turn_id == TURN_ID
        assert response.header.segment == 0
        if kind(response) in ("partial", "final"):
            _check_transcript(response)


def _check_transcript(response: RecognizeResponse) -> None:
    transcript = response.partial if kind(response) == "partial" else response.final
    span = transcript.samples
    end = span.start_sample + span.sample_count
    at = span.start_sample
    for word in transcript.words:
        assert word.text
        assert at <= word.samples.start_sample
        at = word.samples.start_sample + word.samples.sample_count
        assert at <= end
        assert 0.0 <= word.confidence <= 1.0
    if transcript.words:
        assert " ".join(word.text for word in transcript.words) == transcript.text
    assert 0.0 <= transcript.confidence <= 1.0


def kind(response: RecognizeResponse) -> str:
    """Which event it is."""
    return response.WhichOneof("event") or "nothing"


def kinds(responses: Iterable[RecognizeResponse]) -> list[str]:
    """Which events they are."""
    return [kind(response) for response in responses]


def texts(responses: Iterable[RecognizeResponse]) -> list[str]:
    """The texts of the finals."""
    return [response.final.text for response in responses if response.HasField("final")]


def boundaries(responses: Iterable[RecognizeResponse]) -> list[int]:
    """Returns where speech starts and is guessed to end, in samples; repeats count once."""
    found = [
        response.speech_started.at_sample
        if kind(response) == "speech_started"
        else response.end_guess.at_sample
        for response in responses
        if kind(response) in ("speech_started", "end_guess")
    ]
    return [at for at, _ in itertools.groupby(found)]


async def read_until(
    responses: AsyncIterator[RecognizeResponse], wanted: str
) -> list[RecognizeResponse]:
    """Reads up to and with the first event of a kind."""
    read = []
    async for response in responses:
        read.append(response)
        if kind(response) == wanted:
            return read
    raise AssertionError(f"the stream ended without {wanted}: {kinds(read)}")


def word_errors(expected: str, heard: str) -> float:
    """Word error rate, 0 for equal texts; case and punctuation do not count."""
    return float(jiwer.wer(plain_words(expected), plain_words(heard)))


def plain_words(text: str) -> str:
    """A text without case and punctuation, and with one spelling of each word."""
    return " ".join(_SPELLING.get(word, word) for word in normal(text.replace("-", " ")).split())


def at_rate(samples: NDArray[np.int16], rate_hz: int) -> NDArray[np.int16]:
    """A recording of 16 kHz at another rate."""
    resampled: NDArray[np.int16] = soxr.resample(samples, RATE_HZ, rate_hz)
    return resampled
