"""Media files, decoded again: equal length, exact sync, nothing re-encoded."""

from __future__ import annotations

import io
import wave
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from anima.common.v1 import common_pb2 as common
from gateway.http.ask.media_files import NotAudio, TooLong, read_question, to_mp4, to_wav
from testing.fakes.frames import FRAME_RATE_HZ, clip


def frames(count: int) -> list[common.VideoFrame]:
    return [common.VideoFrame(key_frame=key, data=data) for key, data in clip()[:count]]


@pytest.mark.parametrize("count", [1, 2, 50, 73])
@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_film_is_as_long_as_its_sound_and_a_click_stays_at_its_frame(count: int, rate: int) -> None:
    per_frame = rate // FRAME_RATE_HZ
    pcm = np.zeros(count * per_frame, "<i2")
    click = count // 2 * per_frame
    pcm[click : click + 200] = 20_000
    film = to_mp4(
        frames(count), frame_rate_hz=FRAME_RATE_HZ, pcm=pcm.tobytes(), sample_rate_hz=rate
    )
    with av.open(io.BytesIO(film), mode="r") as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert _seconds(video) == pytest.approx(count / FRAME_RATE_HZ)
        assert abs(_seconds(video) - _seconds(audio)) <= 1 / FRAME_RATE_HZ
        pictures = [picture.time for picture in file.decode(video)]
        assert pictures == pytest.approx([n / FRAME_RATE_HZ for n in range(count)])
        file.seek(0)
        sound = np.concatenate([piece.to_ndarray()[0] for piece in file.decode(audio)])
    heard = int(np.argmax(np.abs(sound) > 0.2))
    assert abs(heard - click) / rate < 0.002
    assert abs(len(sound) - len(pcm)) < max(per_frame, 1025)


def test_pictures_are_copied() -> None:
    film = to_mp4(frames(30), frame_rate_hz=FRAME_RATE_HZ, pcm=b"", sample_rate_hz=0)
    with av.open(io.BytesIO(film), mode="r") as file:
        assert len(file.streams) == 1
        copied = [packet for packet in file.demux(video=0) if packet.size]
        assert [p.is_keyframe for p in copied] == [key for key, _ in clip()[:30]]
        # Each start code of Annex B became a length of the same four bytes or one more.
        assert abs(sum(p.size for p in copied) - sum(len(data) for _, data in clip()[:30])) < 30 * 8


@pytest.mark.parametrize("pcm", [b"", bytes(2 * 24_000)])
def test_film_says_that_it_is_synthetic(pcm: bytes) -> None:
    film = to_mp4(frames(5), frame_rate_hz=FRAME_RATE_HZ, pcm=pcm, sample_rate_hz=24_000)
    with av.open(io.BytesIO(film), mode="r") as file:
        assert file.metadata["comment"] == "synthetic: made by Anima"


def test_wav_holds_the_samples() -> None:
    pcm = np.arange(1000, dtype="<i2").tobytes()
    with wave.open(io.BytesIO(to_wav(pcm, sample_rate_hz=24_000))) as file:
        assert file.getparams()[:4] == (1, 2, 24_000, 1000)
        assert file.readframes(1000) == pcm


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
    container: str, codec: str, rate: int, layout: str
) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    channels = tone if layout == "mono" else np.stack([tone, tone])
    samples = read_question(_coded(channels, container, codec, rate, layout), max_seconds=60)
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
def test_channels_that_cancel_each_other_are_heard(layout: str, gains: tuple[float, ...]) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    channels = np.outer(gains, tone)
    samples = read_question(_coded(channels, "wav", "pcm_s16le", 16_000, layout), max_seconds=60)
    assert len(samples) == 16_000
    assert np.sqrt(np.mean((samples / 32768) ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_channels_that_belong_together_are_mixed() -> None:
    low, high = (0.4 * np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000) for hz in (300, 700))
    data = _coded(np.stack([low, high]), "wav", "pcm_s16le", 16_000, "stereo")
    spectrum = np.abs(np.fft.rfft(read_question(data, max_seconds=60)))
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
def test_what_is_not_audio_is_refused(data: bytes) -> None:
    with pytest.raises(NotAudio):
        read_question(data, max_seconds=60)


def test_film_without_sound_is_refused() -> None:
    film = to_mp4(frames(5), frame_rate_hz=FRAME_RATE_HZ, pcm=b"", sample_rate_hz=0)
    with pytest.raises(NotAudio, match="no audio track"):
        read_question(film, max_seconds=60)


def test_too_long_a_question_is_refused() -> None:
    with pytest.raises(TooLong, match="longer than 2 s"):
        read_question(to_wav(bytes(2 * 8_000 * 3), sample_rate_hz=8_000), max_seconds=2)


def test_odd_numbers_are_read_as_silence_not_as_a_crash() -> None:
    values = np.full(16_000, np.nan, np.float32)
    samples = read_question(_coded(values, "wav", "pcm_f32le", 16_000, "mono"), max_seconds=60)
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


def _seconds(stream: Any) -> float:
    return float(stream.duration * stream.time_base)
