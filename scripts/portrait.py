"""The layers of a painted portrait, written as PNG files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scripts.painting import Layer


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """The contents of an avatar package other than avatar.toml."""

    background: Layer
    hair_back: Layer
    body: Layer
    head: Layer
    brows: Layer
    hair_front: Layer
    iris: NDArray[np.uint8]

    def save(self, folder: Path) -> None:
        """Writes every layer into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.background.save(folder / "background.png", opaque=True)
        for name in ("hair_back", "body", "head", "brows", "hair_front"):
            layer: Layer = getattr(self, name)
            layer.save(folder / f"{name}.png")
        cv2.imwrite(str(folder / "iris.png"), self.iris)
