"""The common parts of all avatar packages: manifest, pictures, version."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.runtime.config.settings import SettingsError

NAME_PATTERN = "^[a-z0-9][a-z0-9_-]{0,63}$"
_DIGITS = 16
_Even = Annotated[int, Field(ge=64, le=1920, multiple_of=2)]


class Part(BaseModel):
    """A part of a manifest: frozen, unknown fields are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Video(Part):
    """The avatar's native format."""

    width_px: _Even
    height_px: _Even
    frame_rate_hz: int = Field(ge=10, le=60)


ManifestT = TypeVar("ManifestT", bound=Part)


def load_manifest(path: Path, manifest_type: type[ManifestT]) -> ManifestT:
    """Reads and validates an avatar.toml.

    Raises:
        SettingsError: The file is missing or damaged; the text names the file and the field.
    """
    try:
        with path.open("rb") as file:
            return manifest_type.model_validate(tomllib.load(file))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise SettingsError(f"{path}: {field}: {fault['msg']}") from error


def load_picture(path: Path, flags: int) -> NDArray[np.generic]:
    """Reads a picture.

    Args:
        path: The file.
        flags: The OpenCV decoding flags, such as `cv2.IMREAD_COLOR`.

    Raises:
        SettingsError: The file is missing or damaged; the text names it.
    """
    try:
        coded = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    picture = cv2.imdecode(coded, flags) if coded.size else None
    if picture is None:
        raise SettingsError(f"{path}: cannot be decoded as a picture")
    return np.asarray(picture)


def version_of(folder: Path, names: Iterable[str]) -> str:
    """Returns 16 hexadecimal digits that change when the content of a named file changes.

    Raises:
        SettingsError: A file cannot be read; the text names it.
    """
    digest = hashlib.sha256()
    for name in names:
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise SettingsError(f"{folder / name}: cannot be read: {error.strerror}") from error
        # with the length, bytes cannot move from one file to the next unnoticed
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:_DIGITS]
