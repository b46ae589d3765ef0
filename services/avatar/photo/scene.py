"""An animated photo at one video size.

Nothing outside the head changes. Inside it, the fields of the package move the pixels; the mouth
and the eyes are drawn on top.
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.animation.parameters import FaceParameters, HeadPose, MouthShape
from services.avatar.engine import BgrImage, VideoSpec
from services.avatar.photo.eyes import EyeMotion
from services.avatar.photo.fields import SHARED, Fields
from services.avatar.photo.geometry import Geometry
from services.avatar.photo.mouth import MouthMotion, bounded
from services.avatar.photo.package import PhotoPackage
from services.avatar.photo.warping import Placement, Warp

FloatImage = NDArray[np.float32]

_TURN = 0.018
"""How far the middle of the face shifts at yaw or pitch 1, in face heights."""
_TURN_ALL = 0.006
_BREATH_RISE = 0.005
_PIVOT_BELOW_CHIN = 0.10
_REST = MouthShape()
_FACE_AT = (0.5, 0.44)
"""Where the middle of the face is placed in a cropped picture, in widths and heights."""


class PhotoScene:
    """An avatar of a photo at one size; immutable once created, so that streams share it."""

    def __init__(self, package: PhotoPackage, video: VideoSpec) -> None:
        self.video = video
        size = (video.width_px, video.height_px)
        placement, self._base = _fitted(package, size)
        face = _placed(package.geometry, placement)
        self.axes = face.axes
        """The axes of the face in the picture at rest."""
        self._unit = face.axes.unit
        fields = package.fields
        self._head = Warp(fields.head, placement, size)
        self._weight, self._depth = _weights(self._head, fields)
        self._shared = np.stack(
            [self._head.displacements(fields.shared[name], fields.head) for name in SHARED]
        )
        pivot = face.axes.to_pixels(np.array([face.centre[0], face.chin + _PIVOT_BELOW_CHIN]))
        self._pivot = pivot.astype(np.float32)
        self._mouth = MouthMotion(face, fields, placement, self._base, package.tones)
        self._mouth_weight, self._mouth_depth = _weights(self._mouth.warp, fields)
        self._eyes = [EyeMotion(eye, face.axes, size) for eye in face.eyes]

    def draw(self, face: FaceParameters) -> BgrImage:
        """Draws one frame, shape (height, width, 3)."""
        picture = self._base.copy()
        # the whole face must move with the same jaw, or the edge of the mouth's box becomes visible
        face = replace(face, mouth=bounded(face.mouth))
        still = face.head == HeadPose() and not face.breath and not face.brow
        if still and face.mouth == _REST and not (face.blink or face.gaze_x or face.gaze_y):
            return picture
        map_x, map_y = self._draw_head(picture, face)
        if face.mouth != _REST:
            places = self._posed(
                face, self._mouth.warp.places, self._mouth_weight, self._mouth_depth
            )
            self._mouth.draw(picture, face.mouth, places)
        if face.blink or face.gaze_x or face.gaze_y:
            self._draw_eyes(picture, face, map_x, map_y)
        return picture

    def _draw_head(self, picture: BgrImage, face: FaceParameters) -> tuple[FloatImage, FloatImage]:
        mouth = face.mouth
        weights = np.array([mouth.jaw, mouth.width, mouth.rounding, face.brow], np.float32)
        field = np.tensordot(weights, self._shared, axes=1) if weights.any() else None
        places = self._posed(face, self._head.places, self._weight, self._depth)
        map_x, map_y = self._head.maps(places, field)
        moved = cv2.remap(
            self._base, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        picture[self._head.box] = moved
        return map_x, map_y

    def _draw_eyes(
        self, picture: BgrImage, face: FaceParameters, map_x: FloatImage, map_y: FloatImage
    ) -> None:
        top, left = self._head.box[0].start, self._head.box[1].start
        for eye in self._eyes:
            rows, columns = eye.box
            inside = (
                slice(rows.start - top, rows.stop - top),
                slice(columns.start - left, columns.stop - left),
            )
            picture[eye.box] = eye.draw(
                self._base,
                np.ascontiguousarray(map_x[inside]),
                np.ascontiguousarray(map_y[inside]),
                blink=face.blink,
                gaze_x=face.gaze_x,
                gaze_y=face.gaze_y,
            )

    def _posed(
        self, face: FaceParameters, places: FloatImage, weight: FloatImage, depth: FloatImage
    ) -> FloatImage:
        """Returns the source of each point for a posed head, in pixels of the picture at rest."""
        pose, unit = face.head, self._unit
        angle = math.radians(pose.roll_deg)
        cos, sin = math.cos(angle), math.sin(angle)
        rise = _BREATH_RISE * face.breath
        shift = np.array(
            [
                pose.x / 1000 + _TURN_ALL * pose.yaw,
                pose.y / 1000 + _TURN_ALL * pose.pitch - rise,
            ]
        )
        # the inverse of a rotation about the pivot followed by a shift
        turned = np.array([[cos, -sin], [sin, cos]], np.float32)
        offset = places - self._pivot - (shift * unit).astype(np.float32)
        rigid = offset @ turned + self._pivot - places
        turn = np.array([pose.yaw, pose.pitch], np.float32) * np.float32(_TURN * unit)
        return np.asarray(places + weight * rigid - depth * turn, np.float32)


def _weights(warp: Warp, fields: Fields) -> tuple[FloatImage, FloatImage]:
    """Returns how far each point follows the head and protrudes, shape (rows, columns, 1)."""
    weight, depth = (
        warp.values(values, fields.head)[..., None]
        for values in (fields.head_weight, fields.head_depth)
    )
    return weight, depth


def _fitted(package: PhotoPackage, size: tuple[int, int]) -> tuple[Placement, BgrImage]:
    """Scales the photo until it fills the picture, and crops the rest."""
    height, width = package.portrait.shape[:2]
    if (width, height) == size:
        return Placement(zoom=1.0, left=0.0, top=0.0), package.portrait
    zoom = max(size[0] / width, size[1] / height)
    scaled = (max(size[0], round(width * zoom)), max(size[1], round(height * zoom)))
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    picture = np.asarray(cv2.resize(package.portrait, scaled, interpolation=way), np.uint8)
    middle = package.geometry.axes.to_pixels(package.geometry.centre) * zoom
    cut = [
        int(np.clip(round(middle[i] - _FACE_AT[i] * size[i]), 0, scaled[i] - size[i]))
        for i in (0, 1)
    ]
    half = 0.5 * zoom - 0.5
    placement = Placement(zoom=zoom, left=half - cut[0], top=half - cut[1])
    box = picture[cut[1] : cut[1] + size[1], cut[0] : cut[0] + size[0]]
    return placement, np.ascontiguousarray(box)


def _placed(geometry: Geometry, placement: Placement) -> Geometry:
    axes = geometry.axes
    origin = axes.origin * placement.zoom + (placement.left, placement.top)
    return replace(geometry, axes=replace(axes, origin=origin, unit=axes.unit * placement.zoom))
