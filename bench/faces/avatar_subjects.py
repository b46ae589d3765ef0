"""The measured avatars: those of the installation, and one made from a photo for the run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.avatar.animation.parameters import MouthShape
from services.avatar.engine import CreationOrder
from services.avatar.engines.painted import PaintedFaces
from services.avatar.painted.mouth import GAP_AT_FULL_JAW
from services.avatar.painted.package import Manifest, find_packages, load_package
from services.avatar.photo.fields import LIPS
from services.avatar.photo.mouth import bounded, lip_weights
from services.avatar.photo.package import PhotoPackage
from services.avatar.photo.package import load_package as load_photo
from services.avatar.photo.picture import PhotoReader
from services.avatar.settings import AvatarSettings
from services.runtime.models.store import ModelStore

PHOTO = "astronaut"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An avatar that is measured.

    Attributes:
        name: Its name.
        opening: Returns the distance of its lips for a mouth shape, in face heights.
    """

    name: str
    opening: Callable[[MouthShape], float]

    @property
    def at_rest(self) -> float:
        """How far its mouth is open in silence; an avatar from a photo keeps its smile."""
        return self.opening(MouthShape())


def open_engine(folder: Path) -> tuple[PaintedFaces, list[Subject]]:
    """Opens the engine with its own data folder, and makes an avatar from the portrait.

    Raises:
        FailedPrecondition: The portrait or the face mesh has not been pulled; the text explains
            how.
    """
    store = ModelStore(AvatarSettings.from_environment().data_dir / "models")
    photo = (store.path(PHOTO) / f"{PHOTO}.png").read_bytes()
    (folder / "models").symlink_to(store.path("face-mesh").parent)
    settings = AvatarSettings(data_dir=folder)
    engine = PaintedFaces(settings)
    engine.load()
    order = CreationOrder(name=PHOTO, consent="A portrait by NASA, in the public domain.")
    engine.create_avatar(photo, order, lambda step, percent: None)
    painted = [
        _painted(load_package(path).manifest)
        for path in find_packages(settings.personas_dir, settings.avatars_dir)
    ]
    with closing(PhotoReader()) as reader:
        made = load_photo(folder / "avatars" / PHOTO, reader)
    return engine, [*painted, _photographed(made)]


def _painted(manifest: Manifest) -> Subject:
    def opening(mouth: MouthShape) -> float:
        gap = GAP_AT_FULL_JAW * manifest.mouth.half_width * mouth.jaw * (1 - 0.2 * mouth.width)
        return gap * (1 - min(1.0, mouth.press)) / manifest.head.height

    return Subject(name=manifest.name, opening=opening)


def _photographed(package: PhotoPackage) -> Subject:
    """Measures the inner edges of both lips, moved by the fields of the package."""
    geometry, fields, lattice = package.geometry, package.fields, package.fields.mouth
    u = geometry.upper_lip.u[len(geometry.upper_lip.u) // 2]
    edges = [
        np.array([u, float(lip.at(np.array([u]))[0])])
        for lip in (geometry.upper_lip, geometry.lower_lip)
    ]
    moves = []
    for edge, side in zip(edges, (fields.upper, fields.lower), strict=True):
        place = geometry.axes.to_pixels(edge) - (lattice.left, lattice.top)
        column, row = (int(n) for n in np.round(place / lattice.step))
        moves.append(np.stack([side[name][row, column] for name in LIPS]))
    away = geometry.axes.down / geometry.axes.unit
    apart = float(edges[1][1] - edges[0][1])

    def opening(mouth: MouthShape) -> float:
        weights = lip_weights(bounded(mouth), geometry.gap)
        return max(0.0, apart + float(weights @ (moves[1] - moves[0]) @ away))

    return Subject(name=package.manifest.name, opening=opening)
