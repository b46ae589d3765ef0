"""Draws a contact sheet of an avatar package: face, visemes, blink, gaze, loops.

Run: python -m scripts.avatar_sheet FOLDER OUT.png
"""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anima.common.v1 import Viseme
from services.avatar.animation.idle import IdleMotion
from services.avatar.animation.parameters import FaceParameters, MouthShape
from services.avatar.animation.visemes import VISEMES, target
from services.avatar.engine import Activity, BgrImage, VideoSpec
from services.avatar.painted import package as layered
from services.avatar.painted.scene import Scene
from services.avatar.photo import package as photographed
from services.avatar.photo.picture import PhotoReader
from services.avatar.photo.scene import PhotoScene

_SIDE = 960
_TILE = 168
_BAR = 24
_SHOWN = 1.75
"""The side of a tile, in face heights."""
_MOUTH_SHOWN = 0.62
_INK = (40, 40, 40)


class _Camera:
    """An avatar drawn at one size, from which tiles are cut."""

    def __init__(self, folder: Path) -> None:
        video = VideoSpec(width_px=_SIDE, height_px=_SIDE, frame_rate_hz=25)
        if (folder / "head.png").exists():
            drawn = layered.load_package(folder)
            self._scene: Scene | PhotoScene = Scene(drawn, video)
            head, canvas = drawn.manifest.head, drawn.manifest.canvas
            zoom = _SIDE / canvas.height
            aside = (_SIDE - canvas.width * zoom) / 2
            self._unit = head.height * zoom
            self._face = _place((head.left + head.right) / 2, (head.top + head.chin) / 2, zoom)
            self._mouth = _place(*drawn.manifest.mouth.centre, zoom)
            self._face[0] += aside
            self._mouth[0] += aside
        else:
            photo = _photo(folder)
            side = min(photo.video.width_px, photo.video.height_px)
            video = replace(video, width_px=side, height_px=side)
            self._scene = PhotoScene(photo, video)
            axes = self._scene.axes
            self._unit = axes.unit
            self._face = axes.to_pixels(photo.geometry.centre)
            self._mouth = axes.to_pixels(np.zeros(2))

    def face(self, label: str, face: FaceParameters) -> NDArray[np.uint8]:
        """Returns a tile of the head."""
        return _tile(self._scene.draw(face), label, self._face, _SHOWN * self._unit)

    def mouth(self, label: str, face: FaceParameters) -> NDArray[np.uint8]:
        """Returns a tile of the mouth."""
        return _tile(self._scene.draw(face), label, self._mouth, _MOUTH_SHOWN * self._unit)


def _photo(folder: Path) -> photographed.PhotoPackage:
    with closing(PhotoReader()) as reader:
        return photographed.load_package(folder, reader)


def _place(x: float, y: float, zoom: float) -> NDArray[np.float64]:
    return np.array([x, y]) * zoom


def _tile(
    picture: BgrImage, label: str, centre: NDArray[np.float64], side: float
) -> NDArray[np.uint8]:
    zoom = _TILE / side
    if zoom < 1:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.4 / zoom), np.uint8)
    shift = _TILE / 2 - zoom * centre
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    cut = cv2.warpAffine(
        picture,
        matrix,
        (_TILE, _TILE),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    bar = np.full((_BAR, _TILE, 3), 255, np.uint8)
    cv2.putText(bar, label, (8, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return np.vstack([np.asarray(cut, np.uint8), bar])


def mouths() -> dict[str, FaceParameters]:
    """Returns the mouths that the sheet shows, by label."""
    shown = {"silence": FaceParameters()}
    for viseme in sorted(VISEMES - {1}):
        name = Viseme.Name(viseme).removeprefix("VISEME_")  # type: ignore[arg-type]
        shown[name] = FaceParameters(mouth=target(viseme))
    return shown


def faces() -> dict[str, FaceParameters]:
    """Returns the faces that the sheet shows, by label."""
    shown = mouths()
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


def sheet(folder: Path, columns: int = 8) -> NDArray[np.uint8]:
    """Returns the sheet: heads first, then the mouths alone."""
    camera = _Camera(folder)
    heads = [camera.face(label, face) for label, face in faces().items()]
    close = [camera.mouth(label, face) for label, face in mouths().items()]
    return np.vstack([_rows(heads, columns), _rows(close, columns)])


def _rows(tiles: list[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    missing = -len(tiles) % columns
    tiles = tiles + [np.full_like(tiles[0], 255)] * missing
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


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
