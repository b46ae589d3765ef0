"""The interface that every avatar engine fulfils.

An engine draws pictures; the service in front of it keeps the clock, codes the video and speaks
gRPC. A face is asked for windows of frames, so that an engine may draw those of many streams
together. An engine that draws one picture after the other in a thread is written as a `FaceDrawer`
(services/avatar/drawing.py) instead.

An engine is named by an entry point in `anima.avatar.engines` and made by calling that with the
`AvatarSettings`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from services.runtime.engine import Engine

BgrImage = NDArray[np.uint8]
"""A picture of shape (height, width, 3), blue first."""


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
    """A face that can be chosen.

    Attributes:
        name: The name by which it is chosen.
        display_name: The name shown to people.
        video: Its own size and rate.
        licence: SPDX expression of the licence of its pictures.
        kind: The kind of its pictures.
        consent: Why its pictures may be used; empty if nobody has said.
        created: When it was made of a photo; None for one of the installation.
        version: Names its content: differs when an avatar of the same name is replaced.
    """

    name: str
    display_name: str
    video: VideoSpec
    licence: str
    kind: AvatarKind = AvatarKind.UNKNOWN
    consent: str = ""
    created: datetime | None = None
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class VisemeSpan:
    """A mouth position and when it is held.

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
    """A picture; where it lies is the affair of its engine and of the encoder that takes it."""

    def to_bgr(self) -> BgrImage:
        """Returns it in the memory of the host; the caller may change it.

        Called in a compute thread, at most once.
        """
        ...


@dataclass(frozen=True)
class HostFrame:
    """A `Frame` that lies in the memory of the host."""

    picture: BgrImage

    def to_bgr(self) -> BgrImage:
        """Returns the picture itself."""
        return self.picture


@dataclass(frozen=True, kw_only=True)
class FrameWindow:
    """The next frames that a face is asked for, with the speech that has come meanwhile.

    Attributes:
        frame_count: How many frames, at least 1.
        visemes: New visemes in the order of their start, on the clock of the turn.
        samples: New audio that follows what was passed before, shape (samples,).
        ended: Whether no audio follows `samples`.
    """

    frame_count: int
    visemes: Sequence[VisemeSpan]
    samples: NDArray[np.int16]
    ended: bool


class FaceStream(Protocol):
    """The face of one turn. Its methods are called on the event loop."""

    @property
    def look_ahead_samples(self) -> int:
        """How far beyond a frame's start the engine wants to know the speech, to draw it."""
        ...

    @property
    def follows_visemes(self) -> bool:
        """Whether visemes tell the engine what is spoken before the audio does."""
        ...

    async def frames(self, window: FrameWindow) -> Sequence[Frame]:
        """Draws the next frames, the first time from frame 0; calls never overlap.

        Returns:
            `window.frame_count` frames.
        """
        ...

    def idle_frame(self) -> int:
        """Returns the frame of the idle loop that fits best after the last frame drawn."""
        ...

    def close(self) -> None:
        """Releases what the stream holds; called once, also while `frames` is under way."""
        ...


class AvatarEngine(Engine, Protocol):
    """Draws faces that speak. Its methods are called on the event loop and do not block it."""

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
            avatar: A name of `avatars()`.
            video: The size and rate of the frames.
            sample_rate_hz: Of the audio.
            turn_id: Makes the chance in the motion repeatable.
            idle_frame: The frame of the idle loop at which the face begins.
            activity: Which loop that is.

        Raises:
            NotFound: The avatar has been deleted meanwhile.
        """
        ...

    def idle_loop(
        self, *, avatar: str, video: VideoSpec, activity: Activity = Activity.IDLE
    ) -> AsyncGenerator[Sequence[Frame], None]:
        """Draws an idle loop: whole periods of all motion, the first frame is the neutral pose.

        Yields:
            Windows of frames. Closing the generator ends the work.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class CreationOrder:
    """An avatar to make of a photo.

    Attributes:
        name: The name by which it will be chosen, checked.
        display_name: The name shown to people; empty: the name.
        consent: Why the picture of this person may be used.
        licence: SPDX expression of the licence of the photo; empty: private.
        width_px: Of the video; 0: chosen by the photo.
        height_px: Of the video; 0: chosen by the photo.
        frame_rate_hz: Of the video; 0: chosen by the engine.
        replace: Puts it in the place of one of the same name.
    """

    name: str
    consent: str
    display_name: str = ""
    licence: str = ""
    width_px: int = 0
    height_px: int = 0
    frame_rate_hz: int = 0
    replace: bool = False


@dataclass(frozen=True, kw_only=True)
class CreationWarning:
    """Something that makes an avatar of a photo less good.

    Attributes:
        reason: For programs, in UPPER_SNAKE_CASE.
        message: One sentence that says what to change.
    """

    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Creation:
    """An avatar that was made.

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
    """A step of the creation of an avatar begins.

    Attributes:
        step: Its name, for people.
        percent: How much of the whole is done.
    """

    step: str
    percent: int


@runtime_checkable
class AvatarMaker(Protocol):
    """An engine that can make avatars of photos. Doing so must not delay frames."""

    def create_avatar(
        self, photo: bytes, order: CreationOrder
    ) -> AsyncGenerator[CreationStep | Creation, None]:
        """Makes an avatar and keeps it.

        Args:
            photo: The file.
            order: The avatar to make.

        Yields:
            Any number of steps, then one `Creation`.

        Raises:
            InvalidRequest: No avatar can be made of the photo; the text says what to change.
            FailedPrecondition: The name is taken, or a model is missing.
            Busy: Another one is being made, or too many are kept.
        """
        ...

    async def delete_avatar(self, name: str) -> None:
        """Deletes an avatar that was made of a photo.

        Raises:
            NotFound: There is none of that name.
            FailedPrecondition: It belongs to the installation.
        """
        ...
