"""Avatar packages: a folder with avatar.toml and the pictures of the layers.

Loading validates everything and names the file and the field at fault, so that a damaged package
stops the service at its start rather than a viewer's turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from services.avatar.package_files import (
    NAME_PATTERN,
    Part,
    Video,
    load_manifest,
    load_picture,
    version_of,
)
from services.runtime.config.settings import SettingsError

Layer = NDArray[np.uint8]
"""A picture of shape (height, width, 4), in the order blue, green, red, straight alpha."""

Coordinate = Annotated[float, Field(ge=-10_000, le=10_000, allow_inf_nan=False)]
Length = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]
Colour = Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")]

LAYER_NAMES = ("background", "hair_back", "body", "head", "brows", "hair_front", "iris")
_MAX_LAYER_SIDE_PX = 4096


class Canvas(Part):
    """The coordinate system of everything else: x to the right, y down, from the top left."""

    width: Length
    height: Length


class Head(Part):
    """The box of the face and the pivot about which the head turns (the nape)."""

    left: Coordinate
    right: Coordinate
    top: Coordinate
    chin: Coordinate
    pivot: Point

    @model_validator(mode="after")
    def _has_an_area(self) -> Head:
        if self.left >= self.right or self.top >= self.chin:
            raise ValueError("left must be less than right and top less than chin")
        return self

    @property
    def height(self) -> float:
        """The height of the face, the unit of every opening."""
        return self.chin - self.top


class Mouth(Part):
    """The mouth at rest."""

    centre: Point
    half_width: Length
    upper_lip: Length
    lower_lip: Length
    upper_colour: Colour
    lower_colour: Colour
    line_colour: Colour
    shadow_colour: Colour
    smile: float = Field(default=0.16, ge=-0.3, le=0.5)
    """How far the corners lie above the middle at rest, in half widths."""
    gleam: float = Field(default=0.5, ge=0, le=1)
    """How much the lips shine."""


class Eyes(Part):
    """Both eyes, left and right in the picture; one is drawn as the mirror image of the other."""

    left: Point
    right: Point
    half_width: Length
    upper_height: Length
    lower_height: Length
    iris_radius: Length
    lashes: float = Field(default=1.0, ge=0, le=2)
    """The length of the lashes; 0 draws only the line of the lid."""
    lid_colour: Colour
    line_colour: Colour


class Manifest(Part):
    """The content of avatar.toml."""

    format: int = Field(ge=1, le=1)
    name: str = Field(pattern=NAME_PATTERN)
    display_name: str = Field(min_length=1, max_length=100)
    licence: str = Field(min_length=1, max_length=200)
    consent: str = Field(min_length=1, max_length=2000)
    video: Video
    canvas: Canvas
    head: Head
    mouth: Mouth
    eyes: Eyes


@dataclass(frozen=True, kw_only=True)
class AvatarPackage:
    """A loaded package.

    Attributes:
        folder: Its location.
        manifest: The content of its avatar.toml.
        layers: The pictures by the names in `LAYER_NAMES`. All but the iris cover the canvas.
        version: Identifies the content of its files.
    """

    folder: Path
    manifest: Manifest
    layers: dict[str, Layer]
    version: str


def find_packages(personas_dir: Path, avatars_dir: Path) -> list[Path]:
    """Returns the folders of the avatars of all personas and of those that belong to none.

    Raises:
        SettingsError: There is no avatar.
    """
    files = [*personas_dir.glob("*/avatar/avatar.toml"), *avatars_dir.glob("*/avatar.toml")]
    folders = sorted(path.parent for path in files)
    if not folders:
        raise SettingsError(
            f"ANIMA_PERSONAS_DIR: there is no */avatar/avatar.toml in {personas_dir}"
        )
    return folders


def load_package(folder: Path) -> AvatarPackage:
    """Loads and validates a package.

    Raises:
        SettingsError: A file is missing or damaged; the text names it.
    """
    manifest = load_manifest(folder / "avatar.toml", Manifest)
    aspect = manifest.canvas.width / manifest.canvas.height
    layers: dict[str, Layer] = {}
    for name in LAYER_NAMES:
        path = folder / f"{name}.png"
        layers[name] = _load_layer(path)
        height, width = layers[name].shape[:2]
        if name != "iris" and abs(width / height / aspect - 1) > 0.01:
            raise SettingsError(
                f"{path}: must have the proportions of the canvas in avatar.toml, "
                f"got {width} x {height} pixels"
            )
    version = version_of(folder, ["avatar.toml", *(f"{name}.png" for name in LAYER_NAMES)])
    return AvatarPackage(folder=folder, manifest=manifest, layers=layers, version=version)


def _load_layer(path: Path) -> Layer:
    picture = load_picture(path, cv2.IMREAD_UNCHANGED)
    if picture.dtype != np.uint8 or picture.ndim != 3 or max(picture.shape) > _MAX_LAYER_SIDE_PX:
        raise SettingsError(
            f"{path}: must be RGB or RGBA with 8 bits and at most {_MAX_LAYER_SIDE_PX} pixels "
            "per side"
        )
    layer = np.asarray(picture, np.uint8)
    if layer.shape[2] == 3:
        layer = np.asarray(cv2.cvtColor(layer, cv2.COLOR_BGR2BGRA), np.uint8)
    return layer
