"""Recorded questions of any format, decoded in a worker process."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from gateway.http.ask.media_files import to_mp4, to_wav
from gateway.http.ask.recordings import NotAudio, Recordings, TooLong
from testing.fakes.frames import FRAME_RATE_HZ
from tests.unit.gateway.test_recording import frames


@pytest.fixture(scope="module")
def recordings() -> Iterator[Recordings]:
    with closing(Recordings()) as recordings:
        yield recordings


@pytest.mark.parametrize(
    ("container", "codec", "rate", "layout"),
    [
        ("wav", "pcm_s16le", 8_000, "mono"),
        ("wav", "pcm_f32le", 44_100, "stereo"),
        ("flac", "flac", 48_000, "stereo"),
        ("mp3", "libmp3lame", 44_100, "mono"),
        ("ogg", "libopus", 48_000, "mono"),
        ("mp4", "aac", 44_100, "mono"),
        ("webm", "libopus", 48_000, "mono"),
    ],
)
def test_questions_of_many_formats_are_read(
    recordings: Recordings, container: str, codec: str, rate: int, layout: str
) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    channels = tone if layout == "mono" else np.stack([tone, tone])
    samples = recordings.read_now(_coded(channels, container, codec, rate, layout))
    assert samples.dtype == np.int16
    assert len(samples) / 16_000 == pytest.approx(1, abs=0.08)
    spectrum = np.abs(np.fft.rfft(samples[:16_000], 16_000))
    assert abs(int(np.argmax(spectrum)) - 440) <= 1


@pytest.mark.parametrize(
    ("layout", "gains"),
    [
        ("stereo", (1, -1)),
        ("stereo", (1, -0.9)),
        ("stereo", (0, 1)),
        ("stereo", (0.02, -1)),
        ("5.1", (0, 0, 0, 0, 1, 0)),
        ("5.1", (1, -1, 0, 0, 0, 0)),
        ("7.1", (1, -1, 1, -1, 1, -1, 1, -1)),
    ],
)
def test_channels_that_cancel_each_other_are_heard(
    recordings: Recordings, layout: str, gains: tuple[float, ...]
) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    channels = np.outer(gains, tone)
    samples = recordings.read_now(_coded(channels, "wav", "pcm_s16le", 16_000, layout))
    assert len(samples) == 16_000
    assert np.sqrt(np.mean((samples / 32768) ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_channels_that_belong_together_are_mixed(recordings: Recordings) -> None:
    low, high = (0.4 * np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000) for hz in (300, 700))
    data = _coded(np.stack([low, high]), "wav", "pcm_s16le", 16_000, "stereo")
    spectrum = np.abs(np.fft.rfft(recordings.read_now(data)))
    assert spectrum[300] == pytest.approx(spectrum[700], rel=0.01)
    assert spectrum[300] > 1_000_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile '/etc/hostname'\n",
        to_wav(b"", sample_rate_hz=16_000),
    ],
)
def test_what_is_not_audio_is_refused(recordings: Recordings, data: bytes) -> None:
    with pytest.raises(NotAudio):
        recordings.read_now(data)


def test_film_without_sound_is_refused(recordings: Recordings) -> None:
    film = to_mp4(frames(5), frame_rate_hz=FRAME_RATE_HZ, pcm=b"", sample_rate_hz=0)
    with pytest.raises(NotAudio, match="no audio track"):
        recordings.read_now(film)


def test_too_long_a_question_is_refused(recordings: Recordings) -> None:
    with pytest.raises(TooLong, match="longer than 60 s"):
        recordings.read_now(to_wav(bytes(2 * 8_000 * 61), sample_rate_hz=8_000))


def test_odd_numbers_are_read_as_silence_not_as_a_crash(recordings: Recordings) -> None:
    values = np.full(16_000, np.nan, np.float32)
    samples = recordings.read_now(_coded(values, "wav", "pcm_f32le", 16_000, "mono"))
    assert len(samples) == 16_000


def _coded(samples: Any, container: str, codec: str, rate: int, layout: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(
            np.atleast_2d(samples).T.astype(np.float32).reshape(1, -1),
            format="flt",
            layout=layout,
        )
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()
