"""The built-in engine: animates a layered picture or a photo with speech; one core, no training.

Its former name was `portrait`; settings that still use it work and log a warning.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from services.avatar.animation.animation import Animator
from services.avatar.animation.idle import IdleMotion
from services.avatar.animation.parameters import FaceParameters
from services.avatar.drawing import MakingEngine
from services.avatar.engine import (
    Activity,
    AvatarInfo,
    AvatarKind,
    BgrImage,
    Creation,
    CreationOrder,
    ImageFile,
    VideoSpec,
    VisemeSpan,
)
from services.avatar.painted.package import AvatarPackage, find_packages, load_package
from services.avatar.painted.scene import Scene
from services.avatar.photo.library import PhotoLibrary
from services.avatar.photo.package import PhotoPackage
from services.avatar.photo.picture import PhotoReader
from services.avatar.photo.scene import PhotoScene
from services.avatar.settings import AvatarSettings
from services.runtime.config.settings import SettingsError
from services.runtime.engine import EngineInfo
from services.runtime.errors import FailedPrecondition, NotFound
from services.runtime.observing.logs import get_logger

_MAX_SCENES = 8
_Package = AvatarPackage | PhotoPackage
_Scene = Scene | PhotoScene


class PaintedEngine(MakingEngine):
    """Draws the avatar packages of the personas and those made of photos."""

    def __init__(self, settings: AvatarSettings, reader: PhotoReader | None = None) -> None:
        self._faces = PaintedFaces(settings, reader)
        super().__init__(self._faces, threads=settings.compute_threads)

    async def close(self) -> None:
        """Stops the threads and the processes that decode photos."""
        await super().close()
        self._faces.close()


def portrait(settings: AvatarSettings) -> PaintedEngine:
    """Creates the engine for settings that use its former name."""
    get_logger().warning(
        "the engine portrait is now called painted; set ANIMA_AVATAR_ENGINE=painted"
    )
    return PaintedEngine(settings)


class PaintedFaces:
    """The `FaceMaker` of the engine."""

    info = EngineInfo(name="painted", version="1", licence="Apache-2.0")

    def __init__(self, settings: AvatarSettings, reader: PhotoReader | None = None) -> None:
        self._settings = settings
        self._reader = reader or PhotoReader()
        self._packages: dict[str, AvatarPackage] = {}
        self._photos = PhotoLibrary(settings.data_dir, self._reader)
        self._scenes: OrderedDict[tuple[str, VideoSpec], tuple[_Package, _Scene]] = OrderedDict()
        self._lock = threading.Lock()

    def load(self) -> None:
        """Loads every package and draws one frame of each.

        Raises:
            SettingsError: A package is damaged, or two have the same name.
        """
        packages: dict[str, AvatarPackage] = {}
        for folder in find_packages(self._settings.personas_dir, self._settings.avatars_dir):
            package = load_package(folder)
            other = packages.setdefault(package.manifest.name, package)
            if other is not package:
                raise SettingsError(
                    f"{folder / 'avatar.toml'}: name: {package.manifest.name!r} is already "
                    f"used by {other.folder}"
                )
        first = self._settings.default_avatar
        self._packages = dict(
            sorted(packages.items(), key=lambda item: (item[0] != first, item[0]))
        )
        for info in self.avatars():
            self._scene(info.name, info.video).draw(FaceParameters())

    def avatars(self) -> Sequence[AvatarInfo]:
        """Returns the avatars: the default, then those of the installation, then photos."""
        found = [_info(package) for package in self._all().values()]
        first = self._settings.default_avatar
        return sorted(found, key=lambda info: info.name != first)

    def create_avatar(
        self, photo: ImageFile, order: CreationOrder, progress: Callable[[str, int], None]
    ) -> Creation:
        """Makes an avatar of a photo and draws its first frame.

        Raises:
            InvalidRequest: No avatar can be made of the photo; the text states what to change.
            FailedPrecondition: The name is taken, or the model has not been pulled.
            Busy: Another avatar is being made, or too many are stored.
        """
        if order.name in self._packages:
            raise FailedPrecondition(
                f"config.name: {order.name!r} belongs to an avatar of the installation; "
                "choose another name",
                reason="NAME_TAKEN",
            )
        package, warnings = self._photos.create(photo, order, progress)
        progress("drawing the first frame", 90)
        preview = self._scene(order.name, package.video).draw(FaceParameters())
        return Creation(avatar=_info(package), preview=preview, warnings=warnings)

    def close(self) -> None:
        """Ends the processes that decode photos."""
        self._reader.close()

    def delete_avatar(self, name: str) -> None:
        """Deletes an avatar that was made of a photo.

        Raises:
            NotFound: There is no avatar of that name.
            FailedPrecondition: The avatar belongs to the installation.
        """
        if name in self._packages:
            raise FailedPrecondition(
                f"name: {name!r} belongs to the installation and cannot be deleted",
                reason="NOT_DELETABLE",
            )
        self._photos.delete(name)

    def open_stream(
        self,
        *,
        avatar: str,
        video: VideoSpec,
        sample_rate_hz: int,
        turn_id: str,
        idle_frame: int,
        activity: Activity = Activity.IDLE,
    ) -> PaintedFace:
        """Opens a face for one turn."""
        animator = Animator(
            sample_rate_hz=sample_rate_hz,
            frame_rate_hz=video.frame_rate_hz,
            idle_frame=idle_frame,
            seed=turn_id,
            activity=activity,
        )
        return PaintedFace(self._scene(avatar, video), animator)

    def idle_loop(
        self, *, avatar: str, video: VideoSpec, activity: Activity = Activity.IDLE
    ) -> Iterator[BgrImage]:
        """Draws an idle loop."""
        scene = self._scene(avatar, video)
        motion = IdleMotion(frame_rate_hz=video.frame_rate_hz, activity=activity)
        return (scene.draw(motion.at(frame)) for frame in range(motion.frame_count))

    def _all(self) -> dict[str, _Package]:
        """Returns all packages; those of the installation hide photos of the same name."""
        return {
            **self._packages,
            **{
                name: package
                for name, package in self._photos.refresh().items()
                if name not in self._packages
            },
        }

    def _scene(self, avatar: str, video: VideoSpec) -> _Scene:
        """Returns the scene, created on first use; the least recently used ones are evicted.

        Raises:
            NotFound: The avatar has been deleted since it was chosen.
        """
        package = self._all().get(avatar)
        if package is None:
            raise NotFound(f"avatar: {avatar!r} has been deleted")
        key = (avatar, video)
        with self._lock:
            made_of, scene = self._scenes.get(key, (None, None))
            if scene is None or made_of is not package:
                scene = _open_scene(package, video)
                self._scenes[key] = (package, scene)
            self._scenes.move_to_end(key)
            while len(self._scenes) > _MAX_SCENES:
                self._scenes.popitem(last=False)
            return scene


def _open_scene(package: _Package, video: VideoSpec) -> _Scene:
    if isinstance(package, PhotoPackage):
        return PhotoScene(package, video)
    return Scene(package, video)


def _info(package: _Package) -> AvatarInfo:
    manifest = package.manifest
    photo = isinstance(package, PhotoPackage)
    return AvatarInfo(
        name=manifest.name,
        display_name=manifest.display_name,
        video=VideoSpec(**manifest.video.model_dump()),
        licence=manifest.licence,
        kind=AvatarKind.PHOTO if photo else AvatarKind.ILLUSTRATION,
        consent=manifest.consent,
        created=package.manifest.created if isinstance(package, PhotoPackage) else None,
        version=package.version,
        owner=package.manifest.owner if isinstance(package, PhotoPackage) else "",
    )


class PaintedFace:
    """The face of one turn."""

    follows_visemes = True

    def __init__(self, scene: _Scene, animator: Animator) -> None:
        self._scene = scene
        self._animator = animator

    @property
    def look_ahead_samples(self) -> int:
        """How far ahead of a frame's start the speech should be known."""
        return self._animator.look_ahead_samples

    def add_visemes(self, spans: Sequence[VisemeSpan]) -> None:
        """Adds visemes, ordered by start."""
        self._animator.add_visemes(spans)

    def add_audio(self, samples: NDArray[np.int16]) -> None:
        """Appends audio."""
        self._animator.add_audio(samples)

    def end_audio(self) -> None:
        """Marks the end of the audio."""
        self._animator.end_audio()

    def draw_next(self) -> BgrImage:
        """Draws the next frame."""
        return self._scene.draw(self._animator.next())

    def idle_frame(self) -> int:
        """Returns the frame of the idle loop that continues the last frame drawn."""
        return self._animator.idle_frame()
