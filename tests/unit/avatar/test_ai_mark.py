"""The mark that says AI: in its corner, readable on any ground, nowhere else."""

import numpy as np
import pytest

from services.avatar.engine import HostFrame, VideoSpec
from services.avatar.video.ai_mark import AiMark, MarkingEncoder, open_encoder
from services.avatar.video.x264 import X264Encoder


@pytest.mark.parametrize(("width", "height"), [(64, 64), (512, 512), (1080, 1920), (1920, 64)])
@pytest.mark.parametrize("ground", [0, 128, 255])
def test_it_is_readable_and_small(width: int, height: int, ground: int) -> None:
    mark = AiMark(VideoSpec(width_px=width, height_px=height, frame_rate_hz=25))
    picture = np.full((height, width, 3), ground, np.uint8)
    mark.draw(picture)
    rows, columns = mark.box
    part = picture[rows, columns].astype(int)
    assert part.max() - part.min() > 80
    assert part.shape[0] <= max(12, 0.06 * min(width, height))
    rest = picture.copy()
    rest[rows, columns] = ground
    assert np.all(rest == ground)
    assert rows.stop <= height
    assert columns.stop <= width
    assert rows.start > height / 2
    assert columns.start > width / 2


def test_an_encoder_draws_it_only_when_told() -> None:
    video = VideoSpec(width_px=64, height_px=64, frame_rate_hz=10)
    assert isinstance(open_encoder(video, preset="ultrafast", ai_mark=True), MarkingEncoder)
    plain = open_encoder(video, preset="ultrafast", ai_mark=False)
    assert type(plain) is X264Encoder
    picture = np.zeros((64, 64, 3), np.uint8)
    plain.encode(HostFrame(picture))
    assert not picture.any()
