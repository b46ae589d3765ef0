"""Messages of media: announced, numbered, ended, dropped."""

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest

from gateway.realtime.fmp4.speech_track import AudioCodec
from gateway.realtime.fmp4.turn_media import Fmp4Media, MediaKind, PcmMedia
from tests.unit.web.clips import decode, media_chunks, video_format


def fmp4() -> Fmp4Media:
    return Fmp4Media(audio_codec=AudioCodec.OPUS, sample_rate_hz=24_000, video=video_format())


def header_of(message: dict[str, Any] | bytes) -> tuple[int, int, int, int]:
    assert isinstance(message, bytes)
    version, kind, _, stream, epoch = struct.unpack(">BBHII", message[:12])
    return version, kind, stream, epoch


def test_turn_is_announced_before_its_init_segment() -> None:
    chunk = next(media_chunks(epoch=3))

    announcement, init, fragment = fmp4().append(chunk)

    assert isinstance(announcement, dict)
    assert announcement["type"] == "anima.media"
    assert (announcement["turn_id"], announcement["epoch"]) == ("turn-1", 3)
    assert announcement["sample_rate_hz"] == 24_000
    assert announcement["start_sample"] == 0
    assert json.loads(json.dumps(announcement)) == announcement
    assert header_of(init) == (1, MediaKind.INIT, announcement["stream"], 3)
    assert header_of(fragment) == (1, MediaKind.FRAGMENT, announcement["stream"], 3)


def test_payloads_are_one_stream_that_decodes() -> None:
    media = fmp4()
    messages = [m for chunk in media_chunks() for m in media.append(chunk)] + media.finish()

    binary = [m for m in messages if isinstance(m, bytes)]

    assert header_of(binary[-1])[1] == MediaKind.LAST
    assert decode(b"".join(m[12:] for m in binary)).picture_count == 75
    assert media.finish() == []


def test_every_turn_has_a_stream_of_its_own() -> None:
    media = fmp4()
    first = media.append(next(media_chunks(turn_id="a")))
    second = media.append(next(media_chunks(turn_id="b", epoch=1)))

    assert header_of(second[0])[1:3] == (MediaKind.FRAGMENT, header_of(first[1])[2])
    assert header_of(second[1])[1] == MediaKind.LAST
    assert header_of(second[3]) == (1, MediaKind.INIT, header_of(first[1])[2] + 1, 1)


def test_voice_goes_on_in_a_stream_of_its_own_when_the_face_is_lost() -> None:
    media = fmp4()
    messages = []
    for number, chunk in enumerate(media_chunks()):
        if number > 10:
            del chunk.frames[:]
        messages += media.append(chunk)
    messages += media.finish()

    announced = [m for m in messages if isinstance(m, dict)]
    assert [m["media_type"].split("/")[0] for m in announced] == ["video", "audio"]
    seam = messages.index(announced[1])
    assert header_of(messages[seam - 1])[1] == MediaKind.LAST
    first, second = (
        b"".join(m[12:] for m in part if isinstance(m, bytes))
        for part in (messages[:seam], messages[seam:])
    )
    assert decode(first).picture_count == 21
    # No sample is lost or repeated at the seam.
    assert announced[1]["start_sample"] == pytest.approx(
        decode(first).audio_length_s * 24_000, abs=480
    )
    assert decode(second).audio_length_s == pytest.approx(
        3.0 - announced[1]["start_sample"] / 24_000, abs=0.02
    )


def test_interrupted_turn_sends_no_end() -> None:
    media = fmp4()
    media.append(next(media_chunks()))

    media.drop()

    assert media.finish() == []


@pytest.mark.parametrize("output_rate_hz", [8_000, 16_000, 24_000, 48_000])
def test_pcm_has_the_rate_and_the_length_that_was_asked_for(output_rate_hz: int) -> None:
    media = PcmMedia(sample_rate_hz=24_000, output_rate_hz=output_rate_hz)
    messages = [m for chunk in media_chunks() for m in media.append(chunk)] + media.finish()

    deltas = [m for m in messages if isinstance(m, dict) and "delta" in m]
    samples = np.frombuffer(b"".join(base64.b64decode(m["delta"]) for m in deltas), "<i2")
    loud = np.flatnonzero(np.abs(samples) > 3_000)

    assert isinstance(messages[-1], dict)
    assert messages[-1]["type"] == "response.output_audio.done"
    assert len(samples) == pytest.approx(3 * output_rate_hz, abs=2)
    assert loud[0] / output_rate_hz == pytest.approx(1.0, abs=0.005)
