"""The registry of model files: their sources and their exact content.

A package registers its models by an entry point in `anima.models`. It names a package that has a
file `models.toml`.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from services.runtime.config.settings import SettingsError
from services.runtime.observing.logs import get_logger

ENTRY_POINTS = "anima.models"
FILE = "models.toml"


def _stays_inside(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or not pure.parts or ".." in pure.parts or "\\" in path:
        raise ValueError("the path must stay inside its folder")
    return path


RelativePath = Annotated[str, AfterValidator(_stays_inside)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PackageSource(_Entry):
    """Files in a wheel from the package index that the user has configured for pip.

    In the paths of the files, `{version}` stands for the version. `python` and `platform` select
    the wheel if not every machine has one; the files in it are data, so any machine can use them.
    """

    kind: Literal["package"]
    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!_-]*$")
    python: str | None = Field(default=None, pattern=r"^3\.[0-9]{1,2}$")
    platform: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")


class NpmSource(_Entry):
    """Files in a package of the npm registry, which `npm` or `NPM_CONFIG_REGISTRY` configures."""

    kind: Literal["npm"]
    package: str = Field(pattern=r"^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*$")
    version: str = Field(pattern=r"^[0-9][A-Za-z0-9.+-]*$")


class HuggingFaceSource(_Entry):
    """Files of a Hugging Face repository; `HF_ENDPOINT` may name a compatible server."""

    kind: Literal["huggingface"]
    repo: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
    revision: str = Field(pattern=r"^[\w.-]+$")


class UrlSource(_Entry):
    """Files below a URL."""

    kind: Literal["url"]
    url: str = Field(pattern=r"^https?://")


class FileSource(_Entry):
    """Files in a folder of this machine."""

    kind: Literal["file"]
    folder: Path


Source = Annotated[
    PackageSource | NpmSource | HuggingFaceSource | UrlSource | FileSource,
    Field(discriminator="kind"),
]


class FilePart(_Entry):
    """A stretch of a file that its publisher has split.

    Attributes:
        source: Its source; None: that of the file.
        path: Its path in the source.
    """

    source: Source | None = None
    path: RelativePath


class ModelFile(_Entry):
    """One file of a model.

    Attributes:
        name: Its name in the store.
        path: Its path in the source; empty: the name.
        source: Its source; None: that of the model.
        parts: What it is joined from, in order, instead of `path`.
        sha256: The hash of its bytes, lower-case hexadecimal.
        size_bytes: Its length.
    """

    name: RelativePath
    path: RelativePath | None = None
    source: Source | None = None
    parts: tuple[FilePart, ...] = ()
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class Variant(_Entry):
    """Other files that do the same as those of a model, such as another conversion of its weights.

    Attributes:
        source: The source of the files that name none of their own.
        files: The files.
    """

    source: Source
    files: tuple[ModelFile, ...] = Field(min_length=1)


class Model(_Entry):
    """A model and its files.

    Attributes:
        description: A description in one sentence.
        licence: SPDX expression.
        source: The source of the files that name none of their own.
        alternates: Sources of the same bytes, tried in order if `source` does not have a file.
        files: The files.
        variants: What is pulled instead, in this order, if no source has all the files.
        build: "module:function", called with the model's folder after the pull to derive files.
        embedded: Whether it is used by a default engine.
        without: What Anima does while the model is missing, as one sentence.
        instead: A model that is used while this one is missing, and pulled if this one cannot be.
    """

    description: str
    licence: str
    source: Source
    alternates: tuple[Source, ...] = ()
    files: tuple[ModelFile, ...] = Field(min_length=1)
    variants: tuple[Variant, ...] = ()
    build: str | None = Field(default=None, pattern=r"^[\w.]+:\w+$")
    embedded: bool = False
    without: str = ""
    instead: str = ""

    @property
    def size_bytes(self) -> int:
        """The length of all files together."""
        return sum(file.size_bytes for file in self.files)


class _Registry(_Entry):
    models: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")], Model] = {}


def read_registry(path: Path) -> dict[str, Model]:
    """Returns the models of a registry file.

    Raises:
        SettingsError: The file is not a registry; the text names the file and the entry.
    """
    try:
        return _Registry.model_validate(tomllib.loads(path.read_text("utf-8"))).models
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {_describe(error)}") from None


def installed_registry() -> dict[str, Model]:
    """Returns the models that installed packages register.

    A package that cannot be imported, or whose file is not a registry, is logged and left out.

    Raises:
        SettingsError: Two packages register a model of the same name.
    """
    models: dict[str, Model] = {}
    owners: dict[str, str] = {}
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        try:
            found = read_registry(Path(str(files(entry.value) / FILE)))
        except (ImportError, TypeError, SettingsError) as error:
            get_logger().warning("models left out", package=entry.value, fault=str(error))
            continue
        for name, model in found.items():
            if name in models:
                raise SettingsError(
                    f"models.{name}: both {owners[name]} and {entry.value} register it"
                )
            models[name], owners[name] = model, entry.value
    return models


def _describe(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
    )
