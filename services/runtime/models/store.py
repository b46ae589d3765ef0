"""The model store: files pinned by hash, pulled in advance and never at request time."""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from services.runtime.errors import FailedPrecondition, NotFound
from services.runtime.models.registry import (
    FILE,
    Model,
    ModelFile,
    installed_registry,
    read_registry,
)
from services.runtime.models.sources import Progress, PullFailed, fetch

MANIFEST = "anima-model.json"
OWN_REGISTRY = FILE


class ModelState(StrEnum):
    """The state of a model."""

    PRESENT = "present"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """A model of the registry and its state in the store.

    Attributes:
        name: Its name.
        model: The entry in the registry.
        state: Its state.
        detail: The fault of a damaged model; otherwise empty.
        folder: Where its files are, or will be.
    """

    name: str
    model: Model
    state: ModelState
    detail: str
    folder: Path


class ModelStore:
    """Model files below a folder, one folder per model.

    The registry is that of the installed packages. A file `models.toml` in the folder adds models
    to it, or replaces some, in the same format.

    Raises:
        SettingsError: That file is not a registry.
    """

    def __init__(self, folder: Path, *, registry: Mapping[str, Model] | None = None) -> None:
        self._folder = folder
        if registry is None:
            own = folder / OWN_REGISTRY
            registry = installed_registry() | (read_registry(own) if own.is_file() else {})
        self._registry = registry

    def path(self, name: str) -> Path:
        """Returns the folder of a present model. Checks sizes but not hashes; see `list`.

        Raises:
            FailedPrecondition: The model is missing or damaged; the text names the command.
            NotFound: The model is not in the registry.
        """
        stored = self._look(name, hashes=False)
        if stored.state is ModelState.PRESENT:
            return stored.folder
        fault = f" ({stored.detail})" if stored.detail else ""
        raise FailedPrecondition(
            f"model {name} is {stored.state}{fault}; run: anima models pull {name}",
            reason="MODEL_MISSING",
            metadata={"model": name},
        )

    def instead_of(self, name: str) -> str:
        """Returns the model that is used while another one is missing; empty if there is none.

        Raises:
            NotFound: The model is not in the registry.
        """
        return self._model(name).instead

    def list(self) -> tuple[StoredModel, ...]:
        """Returns every model of the registry by name; the hashes of present files are checked."""
        return tuple(self._look(name, hashes=True) for name in sorted(self._registry))

    def lacking(self) -> tuple[StoredModel, ...]:
        """Returns the models that are missing or damaged. Hashes are not checked; see `list`."""
        return tuple(each for each in self.look() if each.state is not ModelState.PRESENT)

    def look(self) -> tuple[StoredModel, ...]:
        """Returns every model of the registry by name. Hashes are not checked; see `list`."""
        return tuple(self._look(name, hashes=False) for name in sorted(self._registry))

    def pull(self, name: str, progress: Progress = lambda done, total, step: None) -> Path:
        """Downloads a model, unless it is present and intact.

        Files are fetched into a temporary folder, checked, and moved into place together, so that a
        model is present completely or not at all. Of several concurrent pulls, in any process, one
        works and the others wait for it.

        Args:
            name: The model.
            progress: Called with the bytes done, the bytes of all files (None: unknown yet),
                and the step.

        Returns:
            The folder of the model.

        Raises:
            NotFound: The model is not in the registry.
            PullFailed: A file is unavailable or does not match the registry, or the build step
                failed.
        """
        model = self._model(name)
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._locked(name, progress):
            stored = self._look(name, hashes=True)
            if stored.state is ModelState.PRESENT:
                return stored.folder
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=self._folder) as staging:
                fresh = Path(staging) / "new"
                fresh.mkdir()
                files = fetch(model, fresh, progress)
                _build(model, fresh, progress)
                _write_manifest(files, fresh)
                if stored.folder.exists():
                    stored.folder.rename(Path(staging) / "old")
                fresh.rename(stored.folder)
        return stored.folder

    def _model(self, name: str) -> Model:
        if name not in self._registry:
            known = ", ".join(sorted(self._registry))
            raise NotFound(f"unknown model {name!r}; known: {known}")
        return self._registry[name]

    def _look(self, name: str, *, hashes: bool) -> StoredModel:
        model = self._model(name)
        folder = self._folder / name
        if not folder.is_dir():
            state, detail = ModelState.MISSING, ""
        else:
            detail = _fault(model, folder, hashes=hashes)
            state = ModelState.DAMAGED if detail else ModelState.PRESENT
        return StoredModel(name=name, model=model, state=state, detail=detail, folder=folder)

    @contextmanager
    def _locked(self, name: str, progress: Progress) -> Iterator[None]:
        with (self._folder / f".{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress(0, None, "waiting for another pull of this model")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield  # closing the file releases the lock, even if the process is killed


def _fault(model: Model, folder: Path, *, hashes: bool) -> str:
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        pinned, derived = manifest["files"], manifest["derived"]
    except (OSError, ValueError, KeyError, TypeError):
        return "the pull did not finish"
    known = (model.files, *(variant.files for variant in model.variants))
    files = next((files for files in known if _pins(files) == pinned), None)
    if files is None:
        return "another version of the model is present"
    sizes = {file.name: file.size_bytes for file in files} | derived
    for name, size_bytes in sizes.items():
        path = folder / name
        found_bytes = path.stat().st_size if path.is_file() else None
        if found_bytes is None:
            return f"{name} is missing"
        if found_bytes != size_bytes:
            return f"{name} has {found_bytes} bytes, not {size_bytes}"
    if hashes:
        for file in files:
            if _sha256(folder / file.name) != file.sha256:
                return f"{file.name} has another sha256"
    return ""


def _write_manifest(files: Iterable[ModelFile], folder: Path) -> None:
    pins = _pins(files)
    present = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file()
    }
    derived = {name: size for name, size in present.items() if name not in pins}
    manifest = {"files": pins, "derived": derived}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True), "utf-8")


def _pins(files: Iterable[ModelFile]) -> dict[str, str]:
    return {file.name: file.sha256 for file in files}


def _build(model: Model, folder: Path, progress: Progress) -> None:
    if model.build is None:
        return
    progress(model.size_bytes, model.size_bytes, "building")
    module_name, _, function_name = model.build.partition(":")
    try:
        getattr(importlib.import_module(module_name), function_name)(folder)
    except Exception as error:
        raise PullFailed(f"the build step {model.build} failed: {error}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
