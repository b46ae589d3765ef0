"""The avatars created here: a folder of packages that several processes may share."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from services.avatar.engine import CreationOrder, CreationWarning, ImageFile
from services.avatar.package_files import NAME_PATTERN
from services.avatar.photo.creation import Progress, create_package
from services.avatar.photo.networks import MODEL, FaceNetworks
from services.avatar.photo.package import PhotoPackage, load_package, save_package
from services.avatar.photo.picture import PhotoReader
from services.avatar.requests import check_owner
from services.runtime.config.settings import SettingsError
from services.runtime.errors import Busy, FailedPrecondition, NotFound, Unavailable
from services.runtime.models.store import ModelStore
from services.runtime.observing.logs import get_logger
from services.runtime.process.private_files import tighten

MAX_AVATARS = 64
_PATIENCE_S = 10
_STAGING = ".new-"
_GRAVE = ".deleted-"


class PhotoLibrary:
    """Creates, stores and deletes avatars of photos. Its methods may run in any thread.

    A package appears and disappears as a whole, by a rename; other processes that use the folder
    see it at their next `refresh`. What a killed process has left half done is undone by the next.

    Args:
        data_dir: The data folder of the services, with packages in `avatars`, models in `models`.
        reader: Decodes photos and portraits.
    """

    def __init__(self, data_dir: Path, reader: PhotoReader) -> None:
        self.folder = data_dir / "avatars"
        self._models = ModelStore(data_dir / "models")
        self._reader = reader
        self._networks: FaceNetworks | None = None
        self._making = threading.Lock()
        tighten(self.folder)
        self._changing = threading.Lock()
        self._packages: dict[str, PhotoPackage] = {}
        self._stamps: dict[str, int] = {}
        if self.folder.is_dir():
            self._undo_half_done()

    def refresh(self) -> dict[str, PhotoPackage]:
        """Returns the packages by name; loads those that are new or changed on disk.

        A damaged package is logged and skipped, so that the others still work.
        """
        with self._changing:
            stamps = _stamps(self.folder)
            if stamps != self._stamps:
                self._packages = {
                    name: package
                    for name, stamp in stamps.items()
                    if (package := self._load(name, stamp)) is not None
                }
                self._stamps = stamps
            return dict(self._packages)

    def create(
        self, photo: ImageFile, order: CreationOrder, progress: Progress
    ) -> tuple[PhotoPackage, tuple[CreationWarning, ...]]:
        """Creates and stores an avatar.

        Raises:
            PhotoFault: No avatar can be made of the photo; the text states what to change.
            FailedPrecondition: The name is taken, or the model has not been pulled.
            PermissionDenied: The avatar to replace belongs to another user.
            Busy: Another avatar is being made, or too many are stored.
        """
        if not self._making.acquire(timeout=_PATIENCE_S):
            raise Busy("another avatar is being made; try again in a moment")
        try:
            self._check_room(order)
            if self._networks is None:
                self._networks = FaceNetworks(self._models.path(MODEL))
            package, warnings = create_package(
                photo,
                order,
                self._reader,
                self._networks,
                progress,
                created=datetime.now(UTC),
            )
            progress("storing the avatar", 80)
            self._keep(package)
        finally:
            self._making.release()
        return self.refresh()[order.name], warnings

    def delete(self, name: str) -> None:
        """Deletes an avatar with all its files.

        Raises:
            NotFound: No avatar of that name was created here.
        """
        folder = self.folder / name
        if not re.match(NAME_PATTERN, name) or not (folder / "avatar.toml").is_file():
            raise NotFound(f"name: there is no avatar {name[:64]!r} made of a photo")
        with (
            self._locked(),
            tempfile.TemporaryDirectory(prefix=_GRAVE, dir=self.folder) as grave,
        ):
            folder.rename(Path(grave) / name)
        self.refresh()

    def _check_room(self, order: CreationOrder) -> None:
        name, known = order.name, self.refresh()
        taken = (self.folder / name).exists()
        if taken and order.owner:
            check_owner(order.owner, known[name].manifest.owner if name in known else "")
        if taken and not order.replace:
            raise FailedPrecondition(
                f"config.name: there is already an avatar {name!r}; choose another name or "
                "replace it",
                reason="NAME_TAKEN",
            )
        if not taken and len(known) >= MAX_AVATARS:
            raise Busy(
                f"there are already {MAX_AVATARS} avatars; delete one first",
                retry_after_ms=None,
                reason="TOO_MANY_AVATARS",
            )

    def _keep(self, package: PhotoPackage) -> None:
        # It holds portraits of people.
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = package.manifest.name
        target = self.folder / name
        with (
            self._locked(),
            tempfile.TemporaryDirectory(prefix=_STAGING, dir=self.folder) as staging,
        ):
            fresh = Path(staging) / "new"
            fresh.mkdir(mode=0o700)
            save_package(package, fresh)
            _sync(fresh)
            if target.exists():
                # Under its own name, so that a replacement that is cut off here can be undone.
                replaced = Path(staging) / "old"
                replaced.mkdir(mode=0o700)
                target.rename(replaced / name)
            fresh.rename(target)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keeps other processes from changing the folder; the kernel unlocks for a killed one."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _undo_half_done(self) -> None:
        """Puts back what was being replaced, and removes pictures that nobody can see any more."""
        try:
            with self._locked():
                for staging in self.folder.glob(f"{_STAGING}*"):
                    for replaced in staging.glob("old/*"):
                        if not (self.folder / replaced.name).exists():
                            replaced.rename(self.folder / replaced.name)
                    shutil.rmtree(staging)
                for grave in self.folder.glob(f"{_GRAVE}*"):
                    shutil.rmtree(grave)
        except OSError as error:
            get_logger().warning("half made avatars could not be removed", problem=str(error))

    def _load(self, name: str, stamp: int) -> PhotoPackage | None:
        if self._stamps.get(name) == stamp:
            return self._packages.get(name)
        folder = self.folder / name
        try:
            package = load_package(folder, self._reader)
        except SettingsError as error:
            get_logger().warning("an avatar made of a photo is damaged", fault=str(error))
            return None
        except Unavailable as error:  # the others may have been loaded before
            get_logger().error("an avatar made of a photo is left out", fault=str(error))
            return None
        if package.manifest.name != name:
            get_logger().warning("an avatar is in a folder of another name", folder=str(folder))
            return None
        return package


def _sync(folder: Path) -> None:
    """Waits until the files of a folder are on disk."""
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _stamps(folder: Path) -> dict[str, int]:
    stamps = {}
    for path in sorted(folder.glob("[a-z0-9]*/avatar.toml")):
        try:
            stamps[path.parent.name] = path.stat().st_mtime_ns
        except FileNotFoundError:  # deleted since the folder was listed
            continue
    return stamps
