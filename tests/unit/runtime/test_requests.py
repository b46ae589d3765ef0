"""Checks of requests: the order of a stream, fields, audio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import islice

import numpy as np
import pytest

from anima.asr.v1 import EndOfSpeech, RecognizeConfig, RecognizeRequest
from anima.common.v1 import AudioChunk, ChunkHeader
from services.runtime.audio import AudioReceiver, StreamResampler, chunk_sizes
from services.runtime.calls.streams import open_stream
from services.runtime.errors import InvalidRequest
from services.runtime.validation import check_range, check_rate, check_text, check_turn_id

CONFIG = RecognizeRequest(config=RecognizeConfig(turn_id="t1"))
END = RecognizeRequest(end_of_speech=EndOfSpeech())


async def sent(*requests: RecognizeRequest) -> AsyncIterator[RecognizeRequest]:
    for request in requests:
        yield request


async def test_config_comes_first_and_the_rest_follows() -> None:
    config, rest = await open_stream(sent(CONFIG, END, END))
    assert config.turn_id == "t1"
    assert [request async for request in rest] == [END, END]


@pytest.mark.parametrize(
    ("requests", "text"),
    [
        ((), "config: the stream ended before its first message"),
        ((END, CONFIG), "message: the first message must be config, not end_of_speech"),
        ((RecognizeRequest(),), "message: the first message is empty; it must be config"),
    ],
)
async def test_stream_that_does_not_begin_with_config(
    requests: tuple[RecognizeRequest, ...], text: str
) -> None:
    with pytest.raises(InvalidRequest, match=text):
        await open_stream(sent(*requests))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [(CONFIG, "config: sent again as message 3"), (RecognizeRequest(), "message 3 .* is empty")],
)
async def test_wrong_message_after_config(wrong: RecognizeRequest, text: str) -> None:
    _, rest = await open_stream(sent(CONFIG, END, wrong))
    assert await anext(rest) == END
    with pytest.raises(InvalidRequest, match=text):
        await anext(rest)


@pytest.mark.parametrize("turn_id", ["a", "A-1_b.c", "x" * 64])
def test_good_turn_id(turn_id: str) -> None:
    check_turn_id("config.turn_id", turn_id)


@pytest.mark.parametrize("turn_id", ["", "x" * 65, "a b", "ü", "a\n", "../x"])
def test_bad_turn_id(turn_id: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^config\.turn_id: "):
        check_turn_id("config.turn_id", turn_id)


def test_ranges() -> None:
    check_rate("hz", 8000)
    check_rate("hz", 48_000)
    check_range("score", 0.0, 0, 1)
    for rate in (0, 7999, 48_001):
        with pytest.raises(InvalidRequest, match=f"^hz: {rate} is not in 8000..48000"):
            check_rate("hz", rate)
    for value in (-0.1, 1.1, float("nan"), float("inf")):
        with pytest.raises(InvalidRequest, match=r"^score: .* is not in 0\.\.1"):
            check_range("score", value, 0, 1)


def test_texts() -> None:
    check_text("query", "你好", 2)
    check_text("query", "", 2, min_chars=0)
    with pytest.raises(InvalidRequest, match=r"query: must be at most 2 characters, got 3"):
        check_text("query", "abc", 2)
    for empty in ("", " \n"):
        with pytest.raises(InvalidRequest, match="query: is empty"):
            check_text("query", empty, 2)
    with pytest.raises(InvalidRequest, match="NUL"):
        check_text("query", "a\x00", 2)


def chunk(
    start: int, pcm: bytes = b"\x01\x00\xff\xff", epoch: int = 0, hz: int = 16_000
) -> AudioChunk:
    return AudioChunk(
        header=ChunkHeader(turn_id="t1", epoch=epoch),
        start_sample=start,
        sample_rate_hz=hz,
        pcm=pcm,
    )


def receiver() -> AudioReceiver:
    return AudioReceiver(sample_rate_hz=16_000, epoch=0, turn_id="t1")


def test_audio_is_taken_in_order() -> None:
    audio = receiver()
    first = audio.accept(chunk(0))
    assert first is not None
    assert first.dtype == np.int16
    assert first.tolist() == [1, -1]
    assert audio.accept(chunk(2, b"")) is not None
    assert audio.accept(chunk(2)) is not None
    assert audio.next_sample == 4


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (chunk(2, hz=8000), "audio.sample_rate_hz: 8000 is not the config's 16000"),
        (chunk(2, b"\x00"), "audio.pcm: 1 bytes are not whole"),
        (chunk(2, bytes(65_538)), "audio.pcm: must be at most 65536 bytes, got 65538"),
        (chunk(3), "audio.start_sample: 3 is not 2"),
        (chunk(0), "audio.start_sample: 0 is not 2"),
        (AudioChunk(header=ChunkHeader(turn_id="t2")), "audio.header.turn_id: 't2'"),
    ],
)
def test_wrong_audio_is_refused_and_changes_nothing(wrong: AudioChunk, text: str) -> None:
    audio = receiver()
    audio.accept(chunk(0))
    with pytest.raises(InvalidRequest, match=text):
        audio.accept(wrong)
    assert audio.accept(chunk(2)) is not None


def test_audio_of_an_old_epoch_is_dropped_and_leaves_no_gap() -> None:
    audio = receiver()
    audio.raise_epoch(2)
    assert audio.accept(chunk(0, epoch=1)) is None
    assert audio.accept(chunk(2, epoch=2)) is not None
    assert audio.accept(chunk(4, epoch=3)) is not None
    assert audio.accept(chunk(6, epoch=2)) is None


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48_000, 16_000), (16_000, 44_100), (8000, 8000)])
def test_resampling_in_pieces_keeps_length_and_tone(from_hz: int, to_hz: int) -> None:
    seconds = 1.0
    times = np.arange(int(from_hz * seconds)) / from_hz
    tone = (10_000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)
    resampler = StreamResampler(from_hz, to_hz)
    pieces = [resampler.process(piece) for piece in np.array_split(tone, 37)]
    out = np.concatenate([*pieces, resampler.finish()])
    assert abs(len(out) - to_hz * seconds) <= 1
    expected = 10_000 * np.sin(2 * np.pi * 440 * np.arange(len(out)) / to_hz)
    edge = to_hz // 20  # the filter rings at the hard edges of the tone
    assert np.max(np.abs(out[edge:-edge] - expected[edge:-edge])) < 20


def test_first_message_is_small() -> None:
    assert list(islice(chunk_sizes(16_000), 3)) == [320, 1600, 3200]
    assert set(islice(chunk_sizes(16_000), 6, 9)) == {6400}
    assert list(islice(chunk_sizes(22_050), 2)) == [441, 2205]
