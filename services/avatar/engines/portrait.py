"""The embedded engine: a layered picture, moved by the speech; no weights, one core."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from services.avatar.animation import Animator
from services.avatar.engine import AvatarInfo, BgrImage, VideoSpec, VisemeSpan
from services.avatar.idle import IdleMotion
from services.avatar.package import AvatarPackage, find_packages, load_package
from services.avatar.parameters import FaceParameters
from services.avatar.rendering.scene import Scene
from services.avatar.settings import AvatarSettings
from services.runtime.settings import SettingsError

_MAX_SCENES = 8


class PortraitEngine:
    """Draws the avatar packages of the personas."""

    name = "portrait"
    version = "1"
    licence = "Apache-2.0"

    def __init__(self, settings: AvatarSettings) -> None:
        self._settings = settings
        self._packages: dict[str, AvatarPackage] = {}
        self._scenes: OrderedDict[tuple[str, VideoSpec], Scene] = OrderedDict()
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Loads every package and draws a frame of each.

        Raises:
            SettingsError: A package is damaged, or two have the same name.
        """
        packages: dict[str, AvatarPackage] = {}
        for folder in find_packages(self._settings.personas_dir, self._settings.avatars_dir):
            package = load_package(folder)
            other = packages.setdefault(package.manifest.name, package)
            if other is not package:
                raise SettingsError(
                    f"{folder / 'avatar.toml'}: name: {package.manifest.name!r} is also the name "
                    f"of {other.folder}"
                )
        first = self._settings.default_avatar
        self._packages = dict(
            sorted(packages.items(), key=lambda item: (item[0] != first, item[0]))
        )
        for info in self.avatars():
            self._scene(info.name, info.video).draw(FaceParameters())

    def avatars(self) -> Sequence[AvatarInfo]:
        """Returns the avatars, the default first."""
        return [
            AvatarInfo(
                name=name,
                display_name=package.manifest.display_name,
                video=VideoSpec(**package.manifest.video.model_dump()),
                licence=package.manifest.licence,
            )
            for name, package in self._packages.items()
        ]

    def open_stream(
        self, *, avatar: str, video: VideoSpec, sample_rate_hz: int, turn_id: str, idle_frame: int
    ) -> PortraitStream:
        """Opens a face for one turn."""
        animator = Animator(
            sample_rate_hz=sample_rate_hz,
            frame_rate_hz=video.frame_rate_hz,
            idle_frame=idle_frame,
            seed=turn_id,
        )
        return PortraitStream(self._scene(avatar, video), animator)

    def idle_loop(self, *, avatar: str, video: VideoSpec) -> Iterator[BgrImage]:
        """Draws the idle loop."""
        scene = self._scene(avatar, video)
        motion = IdleMotion(frame_rate_hz=video.frame_rate_hz)
        return (scene.draw(motion.at(frame)) for frame in range(motion.frame_count))

    def _scene(self, avatar: str, video: VideoSpec) -> Scene:
        """Returns the scene, made at its first use; the least recently used ones are forgotten."""
        key = (avatar, video)
        with self._lock:
            scene = self._scenes.get(key)
            if scene is None:
                scene = Scene(self._packages[avatar], video)
                self._scenes[key] = scene
            self._scenes.move_to_end(key)
            while len(self._scenes) > _MAX_SCENES:
                self._scenes.popitem(last=False)
            return scene


class PortraitStream:
    """One turn of a portrait."""

    def __init__(self, scene: Scene, animator: Animator) -> None:
        self._scene = scene
        self._animator = animator

    @property
    def look_ahead_samples(self) -> int:
        """How far beyond a frame's start the speech should be known."""
        return self._animator.look_ahead_samples

    @property
    def known_until_sample(self) -> int:
        """Up to where marks or audio say what is spoken."""
        return self._animator.known_until_sample

    def add_visemes(self, spans: Sequence[VisemeSpan]) -> None:
        """Takes visemes in the order of their start."""
        self._animator.add_visemes(spans)

    def add_audio(self, samples: NDArray[np.int16]) -> None:
        """Takes audio that follows what was given before."""
        self._animator.add_audio(samples)

    def end_audio(self) -> None:
        """Says that no audio follows."""
        self._animator.end_audio()

    def draw_next(self) -> BgrImage:
        """Draws the next frame."""
        return self._scene.draw(self._animator.next())

    def idle_frame(self) -> int:
        """Returns the frame of the idle loop that fits after the last one drawn."""
        return self._animator.idle_frame()
