"""A client of the speech service for tests: speaks a turn and checks its invariants."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import grpc
import numpy as np
from numpy.typing import NDArray

from anima.common.v1 import (
    END_REASON_COMPLETE,
    VISEME_SIL,
    Marks,
    VisemeMark,
    WordMark,
)
from anima.tts.v1 import (
    EndOfText,
    Flush,
    ListVoicesRequest,
    SegmentEnd,
    Started,
    SynthesizeConfig,
    SynthesizeRequest,
    SynthesizeResponse,
    TextSegment,
    TtsServiceStub,
)

if TYPE_CHECKING:
    from anima.tts.v1.tts_pb2_grpc import TtsServiceAsyncStub

TURN_ID = "turn-1"


@dataclass
class Spoken:
    """The responses for one segment."""

    text: str
    start_char: int
    words: list[WordMark] = field(default_factory=list)
    visemes: list[VisemeMark] = field(default_factory=list)
    samples: list[NDArray[np.int16]] = field(default_factory=list)
    end: SegmentEnd | None = None

    @property
    def audio(self) -> NDArray[np.int16]:
        return np.concatenate([np.zeros(0, np.int16), *self.samples])


@dataclass
class Turn:
    """The responses of one stream."""

    started: Started
    spoken: dict[int, Spoken]
    order: list[str]

    @property
    def audio(self) -> NDArray[np.int16]:
        return np.concatenate(
            [np.zeros(0, np.int16), *(part.audio for part in self.spoken.values())]
        )

    @property
    def seconds(self) -> float:
        return len(self.audio) / self.started.sample_rate_hz

    @property
    def words(self) -> list[str]:
        return [word.text for part in self.spoken.values() for word in part.words]


def service(channel: grpc.aio.Channel) -> TtsServiceAsyncStub:
    """The stub with its asynchronous types; the class has no others at run time."""
    return cast("TtsServiceAsyncStub", cast(object, TtsServiceStub(channel)))


def config(**fields: Any) -> SynthesizeRequest:
    return SynthesizeRequest(config=SynthesizeConfig(**({"turn_id": TURN_ID} | fields)))


def text(segment: int, text: str, *, start_char: int = 0, language: str = "") -> SynthesizeRequest:
    return SynthesizeRequest(
        text=TextSegment(segment=segment, text=text, start_char=start_char, language=language)
    )


def flush(flush_id: int) -> SynthesizeRequest:
    return SynthesizeRequest(flush=Flush(flush_id=flush_id))


def end_of_text() -> SynthesizeRequest:
    return SynthesizeRequest(end_of_text=EndOfText())


def segments(texts: Iterable[str], *, language: str = "") -> list[SynthesizeRequest]:
    """Segments that follow each other in the turn's text without gaps."""
    requests: list[SynthesizeRequest] = []
    start = 0
    for number, piece in enumerate(texts, 1):
        requests.append(text(number, piece, start_char=start, language=language))
        start += len(piece)
    return requests


async def speak(channel: grpc.aio.Channel, *texts: str, **fields: Any) -> Turn:
    """Speaks texts as one turn and checks it."""
    requests = [config(**fields), *segments(texts), end_of_text()]
    return await exchange(channel, requests)


async def exchange(channel: grpc.aio.Channel, requests: Sequence[SynthesizeRequest]) -> Turn:
    """Sends the requests, reads to the end, and checks the invariants of a complete turn."""
    sent = {
        request.text.segment: request.text
        for request in requests
        if request.WhichOneof("message") == "text"
    }
    answers = [answer async for answer in service(channel).Synthesize(iter(requests))]
    turn = collect(answers, sent)
    assert list(turn.spoken) == list(sent)
    if sent:
        assert turn.order[-1] in {"segment_end", "flushed"}, "it ends after its last segment"
    for part in turn.spoken.values():
        assert part.end is not None
        assert part.end.reason == END_REASON_COMPLETE, part.end
    return turn


def collect(answers: Sequence[SynthesizeResponse], sent: dict[int, TextSegment]) -> Turn:
    """Puts the answers of a stream in order and checks their grammar, clock and marks."""
    assert answers[0].WhichOneof("event") == "started"
    turn = Turn(started=answers[0].started, spoken={}, order=[])
    sequence, clock = 0, 0
    for answer in answers[1:]:
        event = answer.WhichOneof("event")
        assert event not in {None, "started"}
        turn.order.append(str(event))
        if event not in {"audio", "marks", "segment_end"}:
            continue
        header = getattr(answer, event).header
        sequence += 1
        assert (header.turn_id, header.sequence) == (TURN_ID, sequence)
        part = turn.spoken.get(header.segment)
        if part is None:
            assert all(earlier.end is not None for earlier in turn.spoken.values())
            assert header.segment == len(turn.spoken) + 1
            segment = sent[header.segment]
            part = turn.spoken[header.segment] = Spoken(segment.text, segment.start_char)
        assert part.end is None, "nothing follows the end of a segment"
        if event == "marks":
            _take_marks(part, answer.marks, clock)
        elif event == "audio":
            assert answer.audio.start_sample == clock
            assert answer.audio.sample_rate_hz == turn.started.sample_rate_hz
            samples = np.frombuffer(answer.audio.pcm, "<i2").astype(np.int16)
            assert 0 < len(samples) <= 0.45 * turn.started.sample_rate_hz
            part.samples.append(samples)
            clock += len(samples)
            covered = part.visemes[-1].samples
            assert covered.start_sample + covered.sample_count > clock - len(samples)
        else:
            part.end = answer.segment_end
            assert part.end.samples.sample_count == len(part.audio)
            assert part.end.samples.start_sample == clock - len(part.audio)
            check_marks(part)
    return turn


def _take_marks(part: Spoken, marks: Marks, clock: int) -> None:
    """Marks come before or with their audio."""
    for span in [mark.samples for mark in marks.words] + [mark.samples for mark in marks.visemes]:
        assert span.start_sample + max(span.sample_count, 1) > clock
    part.words.extend(marks.words)
    part.visemes.extend(marks.visemes)


def check_marks(part: Spoken) -> None:
    """Words follow the text, visemes cover the audio without gaps."""
    assert part.end is not None
    start = part.end.samples.start_sample
    end = start + part.end.samples.sample_count
    char, sample = part.start_char, start
    for word in part.words:
        assert char <= word.chars.start_char < word.chars.end_char
        first = word.chars.start_char - part.start_char
        assert word.text == part.text[first : word.chars.end_char - part.start_char]
        assert word.text.strip() == word.text
        assert sample <= word.samples.start_sample
        char, sample = word.chars.end_char, word.samples.start_sample + word.samples.sample_count
    assert char <= part.start_char + len(part.text)
    if part.end.reason != END_REASON_COMPLETE:
        return
    assert sample <= end
    sample = start
    for viseme in part.visemes:
        assert viseme.viseme != 0
        assert viseme.stress in {0, 1, 2}
        assert viseme.samples.start_sample == sample
        assert viseme.samples.sample_count > 0
        assert viseme.HasField("chars") == (viseme.viseme != VISEME_SIL)
        if viseme.HasField("chars"):
            assert part.start_char <= viseme.chars.start_char < viseme.chars.end_char
            assert viseme.chars.end_char <= part.start_char + len(part.text)
        sample += viseme.samples.sample_count
    assert sample == end


async def read_until(
    answers: AsyncIterable[SynthesizeResponse], event: str
) -> list[SynthesizeResponse]:
    """Reads up to and with the first answer of a kind."""
    read: list[SynthesizeResponse] = []
    async for answer in answers:
        read.append(answer)
        if answer.WhichOneof("event") == event:
            return read
    raise AssertionError(f"the stream ended before {event}")


def rms(samples: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(samples.astype(float) ** 2))) if len(samples) else 0.0


def pitch_hz(samples: NDArray[np.int16], sample_rate_hz: int) -> float:
    """The median fundamental frequency, 60 to 400 Hz, of the clearly voiced 40 ms frames.

    Normalised autocorrelation; of near-equal peaks the shortest lag, against octave errors (the
    idea of Boersma 1993).
    """
    size = sample_rate_hz // 25
    low, high = sample_rate_hz // 400, sample_rate_hz // 60
    found: list[float] = []
    for start in range(0, len(samples) - size - high, size // 2):
        frame = samples[start : start + size].astype(float)
        if rms(samples[start : start + size]) < 800:
            continue
        scores = np.array(
            [
                _correlation(frame, samples[start + lag : start + lag + size])
                for lag in range(low, high)
            ]
        )
        peaks = 1 + np.flatnonzero((scores[1:-1] > scores[:-2]) & (scores[1:-1] >= scores[2:]))
        if len(peaks) and scores[peaks].max() > 0.8:
            nearly = peaks[scores[peaks] > 0.9 * scores[peaks].max()]
            found.append(sample_rate_hz / (low + int(nearly[0])))
    return float(np.median(found))


def _correlation(frame: NDArray[np.float64], shifted: NDArray[np.int16]) -> float:
    other = shifted.astype(float)
    norm = np.sqrt(np.dot(frame, frame) * np.dot(other, other))
    return float(np.dot(frame, other) / norm) if norm else 0.0


def assert_same_sound(samples: NDArray[np.int16], expected: NDArray[np.int16]) -> None:
    """Asserts that two signals are equal apart from the dither of a resampler."""
    assert len(samples) == len(expected)
    assert np.abs(samples.astype(int) - expected.astype(int)).max() <= 2


async def speaks_chinese(channel: grpc.aio.Channel) -> bool:
    return bool((await service(channel).ListVoices(ListVoicesRequest(language="zh"))).voices)
