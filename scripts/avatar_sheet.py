"""Draws a contact sheet of an avatar package: face, visemes, blink, gaze, loops.

Run: python -m scripts.avatar_sheet FOLDER OUT.png
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anima.common.v1 import Viseme
from services.avatar import package as layered
from services.avatar.engine import Activity, BgrImage, VideoSpec
from services.avatar.idle import IdleMotion
from services.avatar.parameters import FaceParameters, MouthShape
from services.avatar.photo import package as photographed
from services.avatar.photo.scene import PhotoScene
from services.avatar.rendering.scene import Scene
from services.avatar.visemes import VISEMES, target

_SIZE = 512
_TILE = 224
_BAR = 24
_SHOWN, _ABOVE = 0.68, 0.1
"""The part of the picture that a tile shows, and what is left out above it."""
_INK = (40, 40, 40)


def _tile(picture: BgrImage, label: str) -> NDArray[np.uint8]:
    side = round(_SHOWN * picture.shape[0])
    top, left = round(_ABOVE * picture.shape[0]), (picture.shape[1] - side) // 2
    square = picture[top : top + side, left : left + side]
    small = cv2.resize(square, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
    bar = np.full((_BAR, _TILE, 3), 255, np.uint8)
    cv2.putText(bar, label, (8, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return np.vstack([np.asarray(small, np.uint8), bar])


def _open(folder: Path) -> Scene | PhotoScene:
    video = VideoSpec(width_px=_SIZE, height_px=_SIZE, frame_rate_hz=25)
    if (folder / "head.png").exists():
        return Scene(layered.load_package(folder), video)
    return PhotoScene(photographed.load_package(folder), video)


def faces() -> dict[str, FaceParameters]:
    """Returns what the sheet shows, by label."""
    shown = {"silence": FaceParameters()}
    for viseme in sorted(VISEMES - {1}):
        name = Viseme.Name(viseme).removeprefix("VISEME_")  # type: ignore[arg-type]
        shown[name] = FaceParameters(mouth=target(viseme))
    for blink in (0.5, 1.0):
        shown[f"blink {blink}"] = FaceParameters(blink=blink)
    for label, x, y in (("left", -1.0, 0.0), ("right", 1.0, 0.0), ("up", 0.3, -1.0)):
        shown[f"gaze {label}"] = FaceParameters(gaze_x=x, gaze_y=y)
    for activity in Activity:
        motion = IdleMotion(frame_rate_hz=25, activity=activity)
        for frame in (50, 80):
            shown[f"{activity.value} {frame}"] = motion.at(frame)
    talk = IdleMotion(frame_rate_hz=25).at(130)
    shown["talk"] = replace(talk, mouth=MouthShape(jaw=0.6, width=0.3), brow=0.5, blink=0)
    return shown


def sheet(folder: Path, columns: int = 7) -> NDArray[np.uint8]:
    """Returns the picture."""
    scene = _open(folder)
    tiles = [_tile(scene.draw(face), label) for label, face in faces().items()]
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], 255))
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.vstack(rows)


def main() -> None:
    """Writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder with avatar.toml")
    parser.add_argument("out", type=Path, help="the PNG to write")
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(arguments.out), sheet(arguments.folder))


if __name__ == "__main__":
    main()
