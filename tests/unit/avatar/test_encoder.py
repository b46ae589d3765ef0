import numpy as np

from services.avatar.engine import HostFrame, VideoSpec
from services.avatar.video.x264 import X264Encoder
from tests.unit.avatar.video import decode, nal_types

SPS, PPS, IDR, SLICE = 7, 8, 5, 1


def test_every_picture_is_one_access_unit_of_constrained_baseline() -> None:
    video = VideoSpec(width_px=194, height_px=130, frame_rate_hz=10)
    encoder = X264Encoder(video, preset="superfast")
    pictures = [np.full((130, 194, 3), 8 * i, np.uint8) for i in range(25)]
    coded = [encoder.encode(HostFrame(picture)) for picture in pictures]

    assert [i for i, frame in enumerate(coded) if frame.key_frame] == [0, 10, 20]
    for frame in coded:
        types = nal_types(frame.data)
        if frame.key_frame:
            assert [t for t in types if t in (SPS, PPS, IDR)] == [SPS, PPS, IDR]
            sps = frame.data[frame.data.index(b"\0\0\1\x67") + 4 :]
            assert sps[0] == 66, "baseline"
            assert sps[1] & 0x40, "constrained"
        else:
            assert types == [SLICE]

    decoded = decode(frame.data for frame in coded)
    assert len(decoded) == 25
    for got, sent in zip(decoded, pictures, strict=True):
        assert got.shape == sent.shape
        assert abs(float(got.mean()) - float(sent.mean())) < 4


def test_colours_survive() -> None:
    video = VideoSpec(width_px=128, height_px=128, frame_rate_hz=25)
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[:, :64] = (40, 60, 200)
    picture[:, 64:] = (180, 120, 30)
    (got,) = decode([X264Encoder(video, preset="superfast").encode(HostFrame(picture)).data])
    assert np.abs(got[:, 8:56].astype(int) - (40, 60, 200)).mean() < 6
    assert np.abs(got[:, 72:120].astype(int) - (180, 120, 30)).mean() < 6
