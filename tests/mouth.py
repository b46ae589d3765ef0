"""Measures in the pixels of an image how far a drawn mouth is open."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.avatar.painted.package import AvatarPackage


def opening(picture: NDArray[np.uint8], package: AvatarPackage) -> float:
    """Height of what is seen between the lips in the mouth's middle, in face heights.

    Measured in pixels: the dark of the mouth, its teeth and tongue against the lips' colours.

    Args:
        picture: BGR at the package's own size.
        package: Where the mouth is.
    """
    mouth, head = package.manifest.mouth, package.manifest.head
    x = round(mouth.centre[0])
    column = picture[round(mouth.centre[1]) - 25 : round(mouth.centre[1]) + 45, x - 1 : x + 2]
    blue, _, red = column.astype(int).mean(axis=1).T
    dark = red < 160
    teeth = (red > 120) & (blue > 0.8 * red)
    inside = np.flatnonzero(dark | teeth)
    return float(inside[-1] - inside[0] + 1) / head.height if len(inside) > 2 else 0.0
