"""Creates a package from the bytes of a photo."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.engine import BgrImage, CreationOrder, CreationWarning, ImageFile
from services.avatar.package_files import Video
from services.avatar.photo.fields import make_fields
from services.avatar.photo.geometry import Geometry
from services.avatar.photo.inspection import Inspected, inspect
from services.avatar.photo.networks import FaceNetworks
from services.avatar.photo.package import FORMAT, Manifest, MouthTones, PhotoPackage
from services.avatar.photo.picture import PhotoReader

Progress = Callable[[str, int], None]
"""Called with each step that begins and the percentage done."""

DEFAULT_LICENCE = "LicenseRef-private"
DEFAULT_FRAME_RATE_HZ = 25
_LONGEST_SIDE_PX = 1280
_SHORTEST_SIDE_PX = 320
_SMALLEST_FACE = 0.25
"""Relative to the height of the picture; around a smaller face the photo is cropped."""
_CUT_FACE = 0.32
_FLATTEST, _TALLEST = 16 / 9, 9 / 16
_FACE_AT = 0.42
_LUMINANCE = np.array([0.114, 0.587, 0.299])
"""Weights of blue, green and red."""


def create_package(
    photo: ImageFile,
    order: CreationOrder,
    reader: PhotoReader,
    networks: FaceNetworks,
    progress: Progress,
    *,
    created: datetime,
) -> tuple[PhotoPackage, tuple[CreationWarning, ...]]:
    """Creates the package of a photo; the same arguments produce the same package.

    Raises:
        PhotoFault: No avatar can be made of it; the text states what to change.
    """
    progress("reading the photo", 5)
    picture = reader.read(photo)
    progress("looking for the face", 15)
    inspected = inspect(picture, networks)
    progress("cutting the portrait", 45)
    portrait, points, geometry = _cut(inspected, order)
    progress("finding how the face moves", 60)
    fields = make_fields(geometry)
    height, width = portrait.shape[:2]
    manifest = Manifest(
        format=FORMAT,
        kind="photo",
        name=order.name,
        display_name=order.display_name or order.name,
        licence=order.licence or DEFAULT_LICENCE,
        consent=order.consent,
        owner=order.owner,
        created=created,
        photo_sha256=hashlib.sha256(photo).hexdigest(),
        video=Video(
            width_px=width,
            height_px=height,
            frame_rate_hz=order.frame_rate_hz or DEFAULT_FRAME_RATE_HZ,
        ),
        tones=_tones(portrait, geometry),
    )
    package = PhotoPackage(
        manifest=manifest, portrait=portrait, points=points, geometry=geometry, fields=fields
    )
    return package, inspected.warnings


def _cut(
    inspected: Inspected, order: CreationOrder
) -> tuple[BgrImage, NDArray[np.float32], Geometry]:
    """Crops the photo around the face to the shape of the video and scales it."""
    geometry = inspected.geometry
    height, width = inspected.picture.shape[:2]
    unit = geometry.axes.unit
    tall = min(float(height), unit / _CUT_FACE) if unit < _SMALLEST_FACE * height else float(height)
    ratio = float(np.clip(width / height, _TALLEST, _FLATTEST))
    if order.width_px and order.height_px:
        ratio = order.width_px / order.height_px
    wide = tall * ratio
    if wide > width:
        tall, wide = tall * width / wide, float(width)
    zoom = min(1.0, _LONGEST_SIDE_PX / max(wide, tall))
    zoom = max(zoom, _SHORTEST_SIDE_PX / min(wide, tall))
    if order.width_px or order.height_px:
        zoom = max(order.width_px / wide, order.height_px / tall)
    size = [
        order.width_px or min(1920, 2 * round(wide * zoom / 2)),
        order.height_px or min(1920, 2 * round(tall * zoom / 2)),
    ]
    middle = geometry.axes.to_pixels(geometry.centre)
    left = float(np.clip(middle[0] - 0.5 * wide, 0, width - wide))
    top = float(np.clip(middle[1] - _FACE_AT * tall, 0, height - tall))
    portrait = _scaled(inspected.picture, left, top, zoom, (size[0], size[1]))
    # integer coordinates are at pixel centres, not corners
    shift = np.array([0.5 - left, 0.5 - top]) * zoom - 0.5
    points = inspected.points * np.float32(zoom)
    points[:, :2] += shift.astype(np.float32)
    axes = replace(geometry.axes, origin=geometry.axes.origin * zoom + shift, unit=unit * zoom)
    return portrait, points, replace(geometry, axes=axes)


def _scaled(
    picture: BgrImage, left: float, top: float, zoom: float, size: tuple[int, int]
) -> BgrImage:
    if zoom == 1 and left.is_integer() and top.is_integer():
        x, y = int(left), int(top)
        part = picture[y : y + size[1], x : x + size[0]]
        if part.shape[:2] == (size[1], size[0]):
            return np.ascontiguousarray(part)
    if zoom < 1:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.35 / zoom), np.uint8)
    shift = np.array([(0.5 - left) * zoom - 0.5, (0.5 - top) * zoom - 0.5])
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    scaled = cv2.warpAffine(
        picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(scaled, np.uint8)


def _tones(portrait: BgrImage, geometry: Geometry) -> MouthTones:
    """Returns the inner mouth in the light of the photo: as bright as the skin, with its teeth."""
    skin = _median_at(
        portrait, geometry, [(x, y) for x in (-0.24, 0.24) for y in (-0.14, -0.10, -0.06)]
    )
    light = float(np.clip(skin @ _LUMINANCE / 190, 0.35, 1.05))
    # teeth shine: they lose less light than skin
    teeth = np.array((206.0, 222.0, 232.0)) * (0.45 + 0.55 * light)
    seen = _teeth_seen(portrait, geometry)
    if seen is not None:
        teeth = seen
    cavity = np.array((18.0, 17.0, 40.0)) * light
    tones = (teeth, _flesh(portrait, geometry, light), cavity)
    # a mouth is no redder than the skin around it, so in a grey photo it is grey
    red = float(np.clip((skin[2] - skin[0]) / (0.2 * skin[2] + 1), 0, 1))
    teeth, flesh, cavity = (tone @ _LUMINANCE + (tone - tone @ _LUMINANCE) * red for tone in tones)
    return MouthTones(teeth=_tone(teeth), flesh=_tone(flesh), cavity=_tone(cavity))


def _flesh(portrait: BgrImage, geometry: Geometry, light: float) -> NDArray[np.float64]:
    """Returns the colour of tongue and gums: largely that of the lower lip."""
    lip = _median_at(
        portrait,
        geometry,
        [
            (x, float(geometry.lower_lip.at(np.array([x]))[0]) + share * geometry.lower_height)
            for x in np.linspace(-0.3, 0.3, 7) * geometry.half_mouth
            for share in (0.35, 0.5, 0.65)
        ],
    )
    usual = np.array((88.0, 84.0, 172.0)) * light
    return np.asarray(0.5 * usual + 0.5 * lip * (usual @ _LUMINANCE) / max(lip @ _LUMINANCE, 1))


def _tone(colour: NDArray[np.float64]) -> tuple[float, float, float]:
    blue, green, red = (round(float(np.clip(value, 0, 255)), 1) for value in colour)
    return blue, green, red


def _median_at(
    portrait: BgrImage, geometry: Geometry, places: list[tuple[float, float]]
) -> NDArray[np.float64]:
    pixels = np.round(geometry.axes.to_pixels(np.array(places))).astype(int)
    height, width = portrait.shape[:2]
    x, y = np.clip(pixels[:, 0], 0, width - 1), np.clip(pixels[:, 1], 0, height - 1)
    return np.asarray(np.median(portrait[y, x].astype(np.float64), axis=0))


def _teeth_seen(portrait: BgrImage, geometry: Geometry) -> NDArray[np.float64] | None:
    """Returns the colour of the teeth visible in the photo; None if none are."""
    if geometry.gap < 0.03:
        return None
    u = np.linspace(-0.45, 0.45, 31) * geometry.half_mouth
    upper, lower = geometry.upper_lip.at(u), geometry.lower_lip.at(u)
    places = [
        (float(x), float(a + share * (b - a)))
        for x, a, b in zip(u, upper, lower, strict=True)
        for share in (0.3, 0.45, 0.6, 0.75)
    ]
    pixels = np.round(geometry.axes.to_pixels(np.array(places))).astype(int)
    height, width = portrait.shape[:2]
    x, y = np.clip(pixels[:, 0], 0, width - 1), np.clip(pixels[:, 1], 0, height - 1)
    colours = portrait[y, x].astype(np.float64)
    light = colours @ _LUMINANCE
    bright = colours[light >= np.quantile(light, 0.6)]
    tone = np.asarray(bright.mean(axis=0))
    # lips and tongue are red, teeth are nearly grey
    return tone if tone[0] > 0.62 * tone[2] else None
