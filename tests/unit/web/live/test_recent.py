"""The tail of an answer that is kept so that it can continue over another transport."""

from __future__ import annotations

from anima.common.v1.common_pb2 import AudioChunk, ChunkHeader, MediaChunk, VideoFrame
from gateway.webrtc.recent import KEPT_S, Recent

RATE_HZ = 24_000
FRAME_SAMPLES = RATE_HZ // 25


def media(first: int, count: int, *, turn: str = "a") -> MediaChunk:
    """Frames of a turn, a key frame each second; each sample encodes its frame."""
    header = ChunkHeader(turn_id=turn)
    pcm = b"".join(n.to_bytes(2, "little") * FRAME_SAMPLES for n in range(first, first + count))
    frames = [
        VideoFrame(start_sample=n * FRAME_SAMPLES, frame_number=n + 1, key_frame=n % 25 == 0)
        for n in range(first, first + count)
    ]
    audio = AudioChunk(
        header=header, start_sample=first * FRAME_SAMPLES, sample_rate_hz=RATE_HZ, pcm=pcm
    )
    return MediaChunk(header=header, audio=audio, frames=frames)


def test_last_seconds_are_kept_from_a_key_frame_on_without_a_gap() -> None:
    recent = Recent()
    for first in range(0, 180, 3):
        recent.add(media(first, 3))
    chunks = recent.take("a")

    begin = chunks[0]
    assert begin.frames[0].key_frame
    assert begin.audio.start_sample == 125 * FRAME_SAMPLES  # 100 would hold 3.2 s
    assert begin.audio.pcm[:2] == (125).to_bytes(2, "little")
    next_sample = begin.audio.start_sample
    for chunk in chunks:
        assert chunk.audio.start_sample == next_sample == chunk.frames[0].start_sample
        next_sample += len(chunk.audio.pcm) // 2
    assert next_sample == 180 * FRAME_SAMPLES
    assert next_sample - begin.audio.start_sample >= KEPT_S * RATE_HZ
    assert recent.take("a") == []


def test_other_turns_and_media_without_pictures_are_not_kept() -> None:
    recent = Recent()
    recent.add(media(0, 3))
    recent.add(media(0, 3, turn="b"))
    assert recent.take("a") == []

    silent = media(0, 3, turn="c")
    del silent.frames[:]
    recent.add(silent)
    assert recent.take("c") == []
