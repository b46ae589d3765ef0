"""Adapts drawers that draw one picture after the other in a thread to avatar engines.

The threads that draw the frames of turns do nothing else. Listing, opening and creating avatars and
drawing idle loops run in threads of their own, so that they never delay a speaking face.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from services.avatar.engine import (
    Activity,
    AvatarInfo,
    BgrImage,
    Creation,
    CreationOrder,
    CreationStep,
    Frame,
    FrameWindow,
    HostFrame,
    ImageFile,
    VideoSpec,
    VisemeSpan,
)
from services.runtime.engine import EngineInfo
from services.runtime.process.compute import Compute

_LIBRARY_THREADS: Final = 2
_LOOP_WINDOW: Final = 4
"""Frames of an idle loop that are passed on together."""


class DrawnFace(Protocol):
    """The face of one turn, drawn frame by frame; used by one thread at a time."""

    @property
    def look_ahead_samples(self) -> int:
        """See `FaceStream.look_ahead_samples`."""
        ...

    @property
    def follows_visemes(self) -> bool:
        """See `FaceStream.follows_visemes`."""
        ...

    def add_visemes(self, spans: Sequence[VisemeSpan]) -> None:
        """Adds visemes, ordered by start."""
        ...

    def add_audio(self, samples: NDArray[np.int16]) -> None:
        """Appends audio, shape (samples,)."""
        ...

    def end_audio(self) -> None:
        """Records that no audio follows."""
        ...

    def draw_next(self) -> BgrImage:
        """Draws the next frame, from frame 0, into a new array."""
        ...

    def idle_frame(self) -> int:
        """See `FaceStream.idle_frame`; called on the event loop, between two windows."""
        ...


class FaceDrawer(Protocol):
    """Draws faces in threads. Its methods may be called from several threads at once."""

    @property
    def info(self) -> EngineInfo:
        """The description of the engine."""
        ...

    def load(self) -> None:
        """See `Engine.open`."""
        ...

    def avatars(self) -> Sequence[AvatarInfo]:
        """See `AvatarEngine.avatars`."""
        ...

    def open_stream(
        self,
        *,
        avatar: str,
        video: VideoSpec,
        sample_rate_hz: int,
        turn_id: str,
        idle_frame: int,
        activity: Activity = Activity.IDLE,
    ) -> DrawnFace:
        """See `AvatarEngine.open_stream`."""
        ...

    def idle_loop(
        self, *, avatar: str, video: VideoSpec, activity: Activity = Activity.IDLE
    ) -> Iterator[BgrImage]:
        """See `AvatarEngine.idle_loop`; each picture is a new array."""
        ...


class FaceMaker(FaceDrawer, Protocol):
    """A `FaceDrawer` that can also make avatars of photos."""

    def create_avatar(
        self, photo: ImageFile, order: CreationOrder, progress: Callable[[str, int], None]
    ) -> Creation:
        """Makes and stores an avatar; see `AvatarMaker.create_avatar`.

        Args:
            photo: The content of the image file.
            order: The avatar to make.
            progress: Called with each step that begins and the percentage done.
        """
        ...

    def delete_avatar(self, name: str) -> None:
        """See `AvatarMaker.delete_avatar`."""
        ...


class DrawingEngine:
    """Adapts a `FaceDrawer` to an `AvatarEngine`.

    Args:
        drawer: Draws the faces.
        threads: How many threads draw the frames of turns; a stream uses one at a time.
    """

    def __init__(self, drawer: FaceDrawer, *, threads: int) -> None:
        self._drawer = drawer
        self._drawing = Compute(threads=threads, name="avatar-draw")
        self._library = Compute(threads=_LIBRARY_THREADS, name="avatar-library")
        self._loops = Compute(threads=1, name="avatar-loops")

    async def open(self) -> None:
        """Loads the drawer."""
        await self._library.run(self._drawer.load)

    def describe(self) -> EngineInfo:
        """Returns the description of the drawer."""
        return self._drawer.info

    async def avatars(self) -> Sequence[AvatarInfo]:
        """Returns the avatars; the drawer may first have to load one that was created elsewhere."""
        return await self._library.run(self._drawer.avatars)

    async def open_stream(
        self,
        *,
        avatar: str,
        video: VideoSpec,
        sample_rate_hz: int,
        turn_id: str,
        idle_frame: int,
        activity: Activity = Activity.IDLE,
    ) -> DrawnStream:
        """Opens a face for one turn."""
        face = await self._library.run(
            self._drawer.open_stream,
            avatar=avatar,
            video=video,
            sample_rate_hz=sample_rate_hz,
            turn_id=turn_id,
            idle_frame=idle_frame,
            activity=activity,
        )
        return DrawnStream(face, self._drawing)

    async def idle_loop(
        self, *, avatar: str, video: VideoSpec, activity: Activity = Activity.IDLE
    ) -> AsyncGenerator[Sequence[Frame], None]:
        """Draws an idle loop, a few frames ahead of its reader."""

        def produce(emit: Callable[[Sequence[Frame]], bool]) -> None:
            window: list[Frame] = []
            for picture in self._drawer.idle_loop(avatar=avatar, video=video, activity=activity):
                window.append(HostFrame(picture))
                if len(window) == _LOOP_WINDOW:
                    if not emit(window):
                        return
                    window = []
            if window:
                emit(window)

        async with aclosing(self._loops.stream(produce, max_buffered=1)) as windows:
            async for window in windows:
                yield window

    async def close(self) -> None:
        """Stops the threads."""
        for compute in (self._drawing, self._library, self._loops):
            compute.close()


class MakingEngine(DrawingEngine):
    """Adapts a `FaceMaker` to an `AvatarEngine` and `AvatarMaker`.

    Args:
        maker: Draws the faces and makes avatars.
        threads: How many threads draw the frames of turns; a stream uses one at a time.
    """

    def __init__(self, maker: FaceMaker, *, threads: int) -> None:
        super().__init__(maker, threads=threads)
        self._maker = maker
        self._creation = Compute(threads=1, name="avatar-create")

    async def create_avatar(
        self, photo: ImageFile, order: CreationOrder
    ) -> AsyncGenerator[CreationStep | Creation, None]:
        """Makes an avatar in a separate thread."""

        def produce(emit: Callable[[CreationStep | Creation], bool]) -> None:
            def progress(step: str, percent: int) -> None:
                emit(CreationStep(step=step, percent=percent))

            emit(self._maker.create_avatar(photo, order, progress))

        async with aclosing(self._creation.stream(produce)) as steps:
            async for step in steps:
                yield step

    async def delete_avatar(self, name: str) -> None:
        """Deletes an avatar that was made of a photo."""
        await self._library.run(self._maker.delete_avatar, name)

    async def close(self) -> None:
        """Stops the threads."""
        await super().close()
        self._creation.close()


class DrawnStream:
    """Adapts a `DrawnFace` to a `FaceStream`; a whole window is drawn by one thread."""

    def __init__(self, face: DrawnFace, compute: Compute) -> None:
        self._face = face
        self._compute = compute
        self._ended = False

    @property
    def look_ahead_samples(self) -> int:
        """See `FaceStream.look_ahead_samples`."""
        return self._face.look_ahead_samples

    @property
    def follows_visemes(self) -> bool:
        """See `FaceStream.follows_visemes`."""
        return self._face.follows_visemes

    async def frames(self, window: FrameWindow) -> Sequence[Frame]:
        """Draws the next frames in a thread."""
        return await self._compute.run(self._draw, window)

    def idle_frame(self) -> int:
        """See `FaceStream.idle_frame`."""
        return self._face.idle_frame()

    def close(self) -> None:
        """Does nothing: a face only uses memory."""

    def _draw(self, window: FrameWindow) -> list[Frame]:
        if window.visemes:
            self._face.add_visemes(window.visemes)
        if len(window.samples):
            self._face.add_audio(window.samples)
        if window.ended and not self._ended:
            self._face.end_audio()
            self._ended = True
        return [HostFrame(self._face.draw_next()) for _ in range(window.frame_count)]
