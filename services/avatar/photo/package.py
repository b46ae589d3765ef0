"""The package of a photo: a folder with everything needed for drawing, computed once.

    avatar.toml    name, licence, consent, video, colours
    portrait.png   the photo, cut and scaled to its video
    face.json      the points of the mesh and their measurements
    fields.npz     how each point moves with each parameter

Nothing in it is code or pickled. Loading only reads and validates.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from services.avatar.engine import BgrImage, VideoSpec
from services.avatar.package_files import (
    NAME_PATTERN,
    Part,
    Video,
    load_manifest,
    version_of,
)
from services.avatar.photo.faults import PhotoFault
from services.avatar.photo.fields import LIPS, SHARED, Fields, Lattice
from services.avatar.photo.geometry import Axes, Curve, Eye, Geometry
from services.avatar.photo.inner_mouth import Tones
from services.avatar.photo.picture import PhotoReader
from services.runtime.config.settings import SettingsError

FORMAT = 1
_FILES = ("avatar.toml", "portrait.png", "face.json", "fields.npz")
_MAX_LATTICE = 512
_MAX_PORTRAIT_BYTES = 16 << 20
_MAX_FIELDS_BYTES = 128 << 20
_FILE_TIME = (1980, 1, 1, 0, 0, 0)

_Tone = Annotated[float, Field(ge=0, le=255, allow_inf_nan=False)]


class MouthTones(Part):
    """Colours of the inner mouth, blue first."""

    teeth: tuple[_Tone, _Tone, _Tone]
    flesh: tuple[_Tone, _Tone, _Tone]
    cavity: tuple[_Tone, _Tone, _Tone]


class Manifest(Part):
    """The content of avatar.toml."""

    format: int = Field(ge=FORMAT, le=FORMAT)
    kind: Literal["photo"]
    name: str = Field(pattern=NAME_PATTERN)
    display_name: str = Field(min_length=1, max_length=100)
    licence: str = Field(min_length=1, max_length=200)
    consent: str = Field(min_length=10, max_length=2000)
    owner: str = Field(default="", max_length=128)
    created: datetime
    photo_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    video: Video
    tones: MouthTones


@dataclass(frozen=True, kw_only=True)
class PhotoPackage:
    """A loaded package.

    Attributes:
        manifest: The content of its avatar.toml.
        portrait: The photo.
        points: The mesh in pixels of the portrait, shape (468, 3).
        geometry: The measurements of the mesh.
        fields: How each point moves.
        version: Identifies the content of its files; empty if it was not saved yet.
    """

    manifest: Manifest
    portrait: BgrImage
    points: NDArray[np.float32]
    geometry: Geometry
    fields: Fields
    version: str = ""

    @property
    def tones(self) -> Tones:
        """The colours of the inner mouth."""
        return Tones(**self.manifest.tones.model_dump())

    @property
    def video(self) -> VideoSpec:
        """Its native size and rate."""
        return VideoSpec(**self.manifest.video.model_dump())


def save_package(package: PhotoPackage, folder: Path) -> None:
    """Writes a package into an empty folder. The same package produces the same bytes."""
    (folder / "avatar.toml").write_text(_toml(package.manifest), "utf-8")
    done, coded = cv2.imencode(".png", package.portrait)
    if not done:
        raise RuntimeError("the portrait could not be encoded as PNG")
    (folder / "portrait.png").write_bytes(coded.tobytes())
    face = {
        "points": np.round(package.points.astype(float), 3).tolist(),
        "geometry": TypeAdapter(dict[str, Any]).dump_python(_plain(package.geometry)),
        "lattices": {"head": vars(package.fields.head), "mouth": vars(package.fields.mouth)},
    }
    (folder / "face.json").write_text(json.dumps(face, indent=1), "utf-8")
    _save_arrays(package.fields, folder / "fields.npz")


def load_package(folder: Path, reader: PhotoReader) -> PhotoPackage:
    """Loads and validates a package.

    Args:
        folder: The package; it may come from somebody else.
        reader: Decodes its portrait.

    Raises:
        SettingsError: A file is missing or damaged; the text names it.
        Unavailable: The portrait cannot be decoded now.
    """
    manifest = load_manifest(folder / "avatar.toml", Manifest)
    portrait = _load_portrait(folder / "portrait.png", manifest.video, reader)
    path = folder / "face.json"
    try:
        face = json.loads(path.read_text("utf-8"))
        points = np.array(face["points"], np.float32)
        geometry = _geometry(face["geometry"])
        lattices = {name: _lattice(face["lattices"][name]) for name in ("head", "mouth")}
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise SettingsError(f"{path}: is damaged: {error!r}") from error
    if points.shape != (468, 3) or not np.isfinite(points).all():
        raise SettingsError(f"{path}: points: must be 468 points with x, y and z")
    fields = _load_fields(folder / "fields.npz", lattices)
    return PhotoPackage(
        manifest=manifest,
        portrait=portrait,
        points=points,
        geometry=geometry,
        fields=fields,
        version=version_of(folder, _FILES),
    )


def _toml(manifest: Manifest) -> str:
    """Formats the manifest as TOML; every value is text, a number or a list of numbers."""
    values = json.loads(manifest.model_dump_json())
    lines = ["# An avatar of a photo, made by `anima avatar create`."]
    parts = {name: value for name, value in values.items() if isinstance(value, dict)}
    lines += [
        f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
        if name not in parts
    ]
    for part, inner in parts.items():
        lines += ["", f"[{part}]", *(f"{name} = {json.dumps(v)}" for name, v in inner.items())]
    return "\n".join(lines).replace("\x7f", "\\u007f") + "\n"


def _plain(value: object) -> Any:
    """Converts dataclasses and arrays to JSON types."""
    if isinstance(value, np.ndarray):
        return np.round(value, 6).tolist()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Axes | Curve | Eye | Geometry):
        return {name: _plain(item) for name, item in vars(value).items()}
    return value


def _geometry(face: dict[str, Any]) -> Geometry:
    def array(values: object) -> NDArray[np.float64]:
        numbers = np.array(values, np.float64)
        if numbers.ndim != 1 or not numbers.size or not np.isfinite(numbers).all():
            raise ValueError("must be a list of numbers")
        return numbers

    def curve(values: dict[str, Any]) -> Curve:
        found = Curve(u=array(values["u"]), v=array(values["v"]))
        if found.u.shape != found.v.shape:
            raise ValueError("a curve must have as many u as v")
        return found

    eyes = [Eye(**{name: curve(line) for name, line in eye.items()}) for eye in face["eyes"]]
    first, second = eyes
    axes = Axes(
        origin=array(face["axes"]["origin"]),
        right=array(face["axes"]["right"]),
        unit=float(face["axes"]["unit"]),
    )
    numbers = {
        name: float(value)
        for name, value in face.items()
        if name not in ("axes", "eyes", "upper_lip", "lower_lip")
    }
    return Geometry(
        axes=axes,
        eyes=(first, second),
        upper_lip=curve(face["upper_lip"]),
        lower_lip=curve(face["lower_lip"]),
        **numbers,
    )


def _lattice(values: dict[str, Any]) -> Lattice:
    lattice = Lattice(**values)
    if not (0 < lattice.columns <= _MAX_LATTICE and 0 < lattice.rows <= _MAX_LATTICE):
        raise ValueError("a lattice is too large")
    if not lattice.step > 0:
        raise ValueError("a lattice must have a step")
    return lattice


def _arrays(fields: Fields) -> dict[str, NDArray[np.float32]]:
    return {
        "head_weight": fields.head_weight,
        "head_depth": fields.head_depth,
        **{f"shared_{name}": fields.shared[name] for name in SHARED},
        **{f"upper_{name}": fields.upper[name] for name in LIPS},
        **{f"lower_{name}": fields.lower[name] for name in LIPS},
    }


def _save_arrays(fields: Fields, path: Path) -> None:
    """Like np.savez_compressed, but with a fixed time, so that equal packages are identical."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, values in _arrays(fields).items():
            entry = zipfile.ZipInfo(f"{name}.npy", _FILE_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with file.open(entry, "w") as out:
                np.lib.format.write_array(out, values, allow_pickle=False)


def _load_fields(path: Path, lattices: dict[str, Lattice]) -> Fields:
    head, mouth = lattices["head"], lattices["mouth"]
    try:
        # np.load leaves a damaged file open if it was opened by name
        with path.open("rb") as data, np.load(data, allow_pickle=False) as file:
            unpacked = sum(entry.file_size for entry in file.zip.infolist())
            if unpacked > _MAX_FIELDS_BYTES:
                raise ValueError(f"it unpacks to {unpacked} bytes")

            def take(name: str, lattice: Lattice, *rest: int) -> NDArray[np.float32]:
                values = np.asarray(file[name])
                shape = (lattice.rows, lattice.columns, *rest)
                if values.shape != shape or values.dtype != np.float32:
                    raise ValueError(f"{name} must be float32 of shape {shape}")
                if not np.isfinite(values).all():
                    raise ValueError(f"{name} contains values that are not numbers")
                return values

            return Fields(
                head=head,
                mouth=mouth,
                head_weight=take("head_weight", head),
                head_depth=take("head_depth", head),
                shared={name: take(f"shared_{name}", head, 2) for name in SHARED},
                upper={name: take(f"upper_{name}", mouth, 2) for name in LIPS},
                lower={name: take(f"lower_{name}", mouth, 2) for name in LIPS},
            )
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (
        *(ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error),
        *(TypeError, AttributeError),  # a single array has neither names nor parts
    ) as error:
        raise SettingsError(f"{path}: is damaged: {error}") from error


def _load_portrait(path: Path, video: Video, reader: PhotoReader) -> BgrImage:
    try:
        picture = reader.read(_content(path, _MAX_PORTRAIT_BYTES))
    except PhotoFault as error:
        raise SettingsError(f"{path}: cannot be decoded as a picture ({error})") from None
    if picture.shape[:2] != (video.height_px, video.width_px):
        raise SettingsError(f"{path}: must have the size of the video in avatar.toml")
    return picture


def _content(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > max_bytes:
        raise SettingsError(f"{path}: is larger than {max_bytes >> 20} MiB")
    return content
