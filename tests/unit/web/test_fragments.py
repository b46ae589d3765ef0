"""The live container, decoded by FFmpeg: audio and video keep their positions."""

import pytest

from anima.common.v1.common_pb2 import MediaChunk
from gateway.realtime.fmp4.fragments import LiveMuxer
from gateway.realtime.fmp4.speech_track import AudioCodec
from tests.unit.web.clips import Decoded, decode, media_chunks, video_format

TOLERANCE_S = 0.002


def muxer_for(
    first: MediaChunk,
    *,
    codec: AudioCodec = AudioCodec.OPUS,
    sample_rate_hz: int = 24_000,
    frame_rate_hz: int = 25,
) -> LiveMuxer:
    return LiveMuxer(
        audio_codec=codec,
        sample_rate_hz=sample_rate_hz,
        video=video_format(frame_rate_hz),
        first=first,
    )


def mux(chunks: list[MediaChunk], muxer: LiveMuxer) -> bytes:
    return b"".join([muxer.init, *map(muxer.append, chunks), muxer.finish()])


@pytest.mark.parametrize("codec", list(AudioCodec))
@pytest.mark.parametrize("frame_rate_hz", [25, 30])
@pytest.mark.parametrize("sample_rate_hz", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_click_and_flash_stay_together(
    codec: AudioCodec, sample_rate_hz: int, frame_rate_hz: int
) -> None:
    chunks = list(
        media_chunks(
            sample_rate_hz=sample_rate_hz,
            frame_rate_hz=frame_rate_hz,
            flash_frames=frozenset({frame_rate_hz, 2 * frame_rate_hz}),
        )
    )
    muxer = muxer_for(
        chunks[0], codec=codec, sample_rate_hz=sample_rate_hz, frame_rate_hz=frame_rate_hz
    )

    decoded = decode(mux(chunks, muxer))

    assert decoded.flashes_s == pytest.approx([1.0, 2.0], abs=TOLERANCE_S)
    assert decoded.clicks_s == pytest.approx([1.0, 2.0], abs=TOLERANCE_S)
    assert decoded.picture_count == 3 * frame_rate_hz
    assert decoded.audio_length_s == pytest.approx(3.0, abs=0.1)


def test_first_chunk_of_one_frame_gives_a_fragment_with_its_picture() -> None:
    first = next(media_chunks())
    muxer = muxer_for(first)

    decoded = decode(muxer.init + muxer.append(first))

    assert len(first.frames) == 1
    assert decoded.picture_count == 1


def test_media_type_names_the_codecs_of_the_stream() -> None:
    first = next(media_chunks())
    muxer = muxer_for(first, codec=AudioCodec.AAC)

    profile = first.frames[0].data.split(b"\x00\x00\x01", 1)[1][1:4].hex().upper()

    assert muxer.media_type == f'video/mp4; codecs="avc1.{profile},mp4a.40.2"'


def test_without_pictures_the_stream_has_only_sound() -> None:
    chunks = list(media_chunks(with_video=False))
    muxer = muxer_for(chunks[0])

    decoded = decode(mux(chunks, muxer))

    assert muxer.media_type == 'audio/mp4; codecs="opus"'
    assert not muxer.has_video
    assert decoded.picture_count == 0
    assert decoded.clicks_s == pytest.approx([1.0, 2.0], abs=TOLERANCE_S)


@pytest.mark.parametrize("fault", ["no key frame", "no parameter sets"])
def test_pictures_that_cannot_be_decoded_are_left_out(fault: str) -> None:
    chunks = list(media_chunks(seconds=1.0, flash_frames=frozenset({10})))
    if fault == "no key frame":
        chunks[0].frames[0].key_frame = False
    else:
        chunks[0].frames[0].data = b"\x00\x00\x00\x01\x65\x88\x80\x10"

    decoded = decode(mux(chunks, muxer_for(chunks[0])))

    assert decoded.picture_count == 0
    assert len(decoded.clicks_s) == 1


def test_stream_that_begins_midway_starts_its_time_there() -> None:
    chunks = list(media_chunks())[14:]
    offset_s = chunks[0].audio.start_sample / 24_000
    for chunk in chunks:
        del chunk.frames[:]

    decoded: Decoded = decode(mux(chunks, muxer_for(chunks[0])))

    assert offset_s > 1.0
    assert decoded.clicks_s == pytest.approx([2.0 - offset_s], abs=TOLERANCE_S)


def test_a_turn_of_one_frame_is_complete() -> None:
    chunks = list(media_chunks(seconds=0.04, flash_frames=frozenset({0})))

    decoded = decode(mux(chunks, muxer_for(chunks[0])))

    assert decoded.picture_count == 1
    assert decoded.flashes_s == [0.0]
    assert decoded.clicks_s == pytest.approx([0.0], abs=TOLERANCE_S)
