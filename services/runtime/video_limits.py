"""The pictures that the avatar service can make, for it and for the gateway that asks for them."""

from __future__ import annotations

from typing import Final

from services.runtime.errors import InvalidRequest
from services.runtime.validation import check_range

MIN_SIDE_PX: Final = 64
MAX_SIDE_PX: Final = 1920
MIN_FRAME_RATE_HZ: Final = 10
MAX_FRAME_RATE_HZ: Final = 60


def check_video(field: str, *, width_px: int, height_px: int, frame_rate_hz: int) -> None:
    """Checks the format of a video; a value of 0 stands for the avatar's own and always passes.

    Raises:
        InvalidRequest: A number is odd or out of range.
    """
    for name, side in (("width_px", width_px), ("height_px", height_px)):
        if side:
            check_range(f"{field}.{name}", side, MIN_SIDE_PX, MAX_SIDE_PX)
        if side % 2:
            raise InvalidRequest(f"{field}.{name}: must be even for H.264, got {side}")
    if frame_rate_hz:
        name = f"{field}.frame_rate_hz"
        check_range(name, frame_rate_hz, MIN_FRAME_RATE_HZ, MAX_FRAME_RATE_HZ)
