"""The interface that every avatar engine implements.

An engine draws pictures; the service in front of it keeps the clock, encodes the video and serves
gRPC. Frames are requested in windows, so that an engine may draw those of many streams together. An
engine that draws one picture after the other in a thread implements `FaceDrawer`
(services/avatar/drawing.py) instead.

An engine is registered as an entry point in `anima.avatar.engines`; the service creates it by
calling that entry point with the `AvatarSettings`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from services.runtime.engine import Engine

BgrImage = NDArray[np.uint8]
ImageFile: TypeAlias = bytes | bytearray
"""The content of an image file; a large one is not copied to make it immutable."""
"""A picture of shape (height, width, 3), in the order blue, green, red."""


@dataclass(frozen=True, kw_only=True)
class VideoSpec:
    """The size and rate of a video; width and height are even."""

    width_px: int
    height_px: int
    frame_rate_hz: int


class AvatarKind(Enum):
    """The kind of an avatar's pictures."""

    UNKNOWN = "unknown"
    ILLUSTRATION = "illustration"
    PHOTO = "photo"


class Activity(Enum):
    """The behaviour of a face that does not speak."""

    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"


@dataclass(frozen=True, kw_only=True)
class AvatarInfo:
    """A face that a client can choose.

    Attributes:
        name: The name by which it is chosen.
        display_name: The name shown to people.
        video: Its native size and rate.
        licence: SPDX expression of the licence of its pictures.
        kind: The kind of its pictures.
        consent: Why its pictures may be used; empty if not stated.
        created: When it was made of a photo; None for an avatar of the installation.
        version: Identifies its content; changes when an avatar of the same name is replaced.
        owner: The user who alone may use it; empty: everybody may.
    """

    name: str
    display_name: str
    video: VideoSpec
    licence: str
    kind: AvatarKind = AvatarKind.UNKNOWN
    consent: str = ""
    created: datetime | None = None
    version: str = ""
    owner: str = ""


@dataclass(frozen=True, kw_only=True)
class VisemeSpan:
    """A mouth position and the time for which it is held.

    Attributes:
        viseme: A number of the contract's enum `Viseme`, 1 to 15.
        start_sample: The first sample, on the clock of the turn.
        sample_count: The length in samples, at least 1.
        stress: 0 none, 1 secondary, 2 primary.
    """

    viseme: int
    start_sample: int
    sample_count: int
    stress: int = 0

    @property
    def end_sample(self) -> int:
        """The sample after the last one."""
        return self.start_sample + self.sample_count


class Frame(Protocol):
    """A picture; its engine and the encoder that takes it decide where it is stored."""

    def to_bgr(self) -> BgrImage:
        """Returns the picture in host memory; the caller may change it.

        Called in a compute thread, at most once.
        """
        ...


@dataclass(frozen=True)
class HostFrame:
    """A `Frame` in host memory."""

    picture: BgrImage

    def to_bgr(self) -> BgrImage:
        """Returns the picture itself."""
        return self.picture


@dataclass(frozen=True, kw_only=True)
class FrameWindow:
    """A request for the next frames, with the speech received since the previous window.

    Attributes:
        frame_count: The number of frames, at least 1.
        visemes: New visemes ordered by start, on the clock of the turn.
        samples: New audio, which continues the previous window's, shape (samples,).
        ended: Whether the audio ends with `samples`.
    """

    frame_count: int
    visemes: Sequence[VisemeSpan]
    samples: NDArray[np.int16]
    ended: bool


class FaceStream(Protocol):
    """The face of one turn. Its methods are called on the event loop."""

    @property
    def look_ahead_samples(self) -> int:
        """How far ahead of a frame's start the engine needs the speech in order to draw it."""
        ...

    @property
    def follows_visemes(self) -> bool:
        """Whether the engine can use visemes to know the speech before its audio arrives."""
        ...

    async def frames(self, window: FrameWindow) -> Sequence[Frame]:
        """Draws the next frames, starting with frame 0; calls never overlap.

        Returns:
            `window.frame_count` frames.
        """
        ...

    def idle_frame(self) -> int:
        """Returns the frame of the idle loop that best continues the last frame drawn."""
        ...

    def close(self) -> None:
        """Releases the stream's resources; called once, possibly while `frames` is running."""
        ...


class AvatarEngine(Engine, Protocol):
    """Draws speaking faces. Its methods are called on the event loop and must not block it."""

    async def avatars(self) -> Sequence[AvatarInfo]:
        """Returns the avatars, the default first; at least one."""
        ...

    async def open_stream(
        self,
        *,
        avatar: str,
        video: VideoSpec,
        sample_rate_hz: int,
        turn_id: str,
        idle_frame: int,
        activity: Activity = Activity.IDLE,
    ) -> FaceStream:
        """Opens a face for one turn.

        Args:
            avatar: A name from `avatars()`.
            video: The size and rate of the frames.
            sample_rate_hz: Sample rate of the audio.
            turn_id: Seeds the random part of the motion.
            idle_frame: The frame of the idle loop at which the face begins.
            activity: The activity whose loop that is.

        Raises:
            NotFound: The avatar has been deleted since it was listed.
        """
        ...

    def idle_loop(
        self, *, avatar: str, video: VideoSpec, activity: Activity = Activity.IDLE
    ) -> AsyncGenerator[Sequence[Frame], None]:
        """Draws an idle loop: whole periods of all motion, beginning with the neutral pose.

        Yields:
            Windows of frames. Closing the generator stops the work.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class CreationOrder:
    """An order for an avatar made of a photo.

    Attributes:
        name: The name by which it will be chosen, already validated.
        display_name: The name shown to people; empty means `name`.
        consent: Why the picture of this person may be used.
        licence: SPDX expression of the licence of the photo; empty means private.
        width_px: Width of the video; 0 means chosen from the photo.
        height_px: Height of the video; 0 means chosen from the photo.
        frame_rate_hz: Frame rate of the video; 0 means chosen by the engine.
        replace: Whether to replace an avatar of the same name.
        owner: The user who alone may use it, and who may replace only what is its own; empty:
            everybody may use it, and it may replace any.
    """

    name: str
    consent: str
    display_name: str = ""
    licence: str = ""
    width_px: int = 0
    height_px: int = 0
    frame_rate_hz: int = 0
    replace: bool = False
    owner: str = ""


@dataclass(frozen=True, kw_only=True)
class CreationWarning:
    """A property of a photo that lowers the quality of its avatar.

    Attributes:
        reason: For programs, in UPPER_SNAKE_CASE.
        message: One sentence with the problem or its remedy.
    """

    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Creation:
    """An avatar that was created.

    Attributes:
        avatar: The avatar.
        preview: Its face at rest.
        warnings: Faults that another photo would avoid.
    """

    avatar: AvatarInfo
    preview: BgrImage
    warnings: tuple[CreationWarning, ...]


@dataclass(frozen=True, kw_only=True)
class CreationStep:
    """The start of a step in the creation of an avatar.

    Attributes:
        step: Its name, for people.
        percent: The percentage of the whole that is done.
    """

    step: str
    percent: int


@runtime_checkable
class AvatarMaker(Protocol):
    """An engine that can make avatars of photos. Doing so must not delay frames."""

    def create_avatar(
        self, photo: ImageFile, order: CreationOrder
    ) -> AsyncGenerator[CreationStep | Creation, None]:
        """Makes and stores an avatar.

        Args:
            photo: The content of the image file.
            order: The avatar to make.

        Yields:
            Any number of steps, then one `Creation`.

        Raises:
            InvalidRequest: No avatar can be made of the photo; the text states what to change.
            FailedPrecondition: The name is taken, or a model is missing.
            PermissionDenied: The avatar to replace belongs to another user.
            Busy: Another avatar is being made, or too many are stored.
        """
        ...

    async def delete_avatar(self, name: str) -> None:
        """Deletes an avatar that was made of a photo.

        Raises:
            NotFound: There is no avatar of that name.
            FailedPrecondition: The avatar belongs to the installation.
        """
        ...
