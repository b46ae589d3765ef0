"""Media files, decoded again: equal length, exact sync, nothing re-encoded."""

from __future__ import annotations

import io
import wave
from typing import Any

import av
import numpy as np
import pytest

from anima.common.v1 import common_pb2 as common
from gateway.http.ask.media_files import to_mp4, to_wav
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


def _seconds(stream: Any) -> float:
    return float(stream.duration * stream.time_base)
