"""The test card: a frame is white if its audio contains a click, else black.

It verifies that picture and sound stay in sync.

Select it with ANIMA_AVATAR_ENGINE=testcard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from services.avatar.drawing import DrawingEngine
from services.avatar.engine import Activity, AvatarInfo, BgrImage, VideoSpec, VisemeSpan
from services.avatar.settings import AvatarSettings
from services.avatar.video.clock import FrameClock
from services.runtime.engine import EngineInfo
from services.runtime.engine_options import EngineOptions

_VIDEO = VideoSpec(width_px=320, height_px=240, frame_rate_hz=25)


class TestcardOptions(EngineOptions):
    """The options of the test card, read from `ANIMA_AVATAR_*`."""

    __test__ = False

    click_level: int = Field(default=16_000, ge=1, le=32_767)
    """The sample level that counts as a click, up to 32,767."""


class TestcardEngine(DrawingEngine):
    """Draws the avatar "testcard"."""

    __test__ = False
    options_type: ClassVar = TestcardOptions

    def __init__(self, settings: AvatarSettings) -> None:
        options = TestcardOptions.read(settings)
        super().__init__(Testcard(options), threads=settings.compute_threads)


class Testcard:
    """The `FaceDrawer` of the engine."""

    __test__ = False
    info = EngineInfo(name="testcard", version="1", licence="Apache-2.0")

    def __init__(self, options: TestcardOptions) -> None:
        self._click_level = options.click_level

    def load(self) -> None:
        """Does nothing."""

    def avatars(self) -> Sequence[AvatarInfo]:
        """Returns the single card."""
        return [
            AvatarInfo(
                name="testcard",
                display_name="Test card",
                video=_VIDEO,
                licence=self.info.licence,
                version=self.info.version,
            )
        ]

    def open_stream(
        self,
        *,
        avatar: str,
        video: VideoSpec,
        sample_rate_hz: int,
        turn_id: str,
        idle_frame: int,
        activity: Activity = Activity.IDLE,
    ) -> TestcardStream:
        """Opens a card."""
        clock = FrameClock(sample_rate_hz=sample_rate_hz, frame_rate_hz=video.frame_rate_hz)
        return TestcardStream(video, clock, self._click_level)

    def idle_loop(
        self, *, avatar: str, video: VideoSpec, activity: Activity = Activity.IDLE
    ) -> Iterator[BgrImage]:
        """Yields one second of black frames, for any activity."""
        return (_card(video, white=False) for _ in range(video.frame_rate_hz))


class TestcardStream:
    """The test card of one turn."""

    __test__ = False
    look_ahead_samples = 0
    follows_visemes = False

    def __init__(self, video: VideoSpec, clock: FrameClock, click_level: int) -> None:
        self._video = video
        self._clock = clock
        self._click_level = click_level
        self._frame = 0
        self._pending = np.zeros(0, np.int16)

    def add_visemes(self, spans: Sequence[VisemeSpan]) -> None:
        """Ignores the visemes: a card has no mouth."""

    def add_audio(self, samples: NDArray[np.int16]) -> None:
        """Appends audio."""
        self._pending = np.concatenate([self._pending, samples])

    def end_audio(self) -> None:
        """Does nothing: the audio of each frame is known when it is drawn."""

    def draw_next(self) -> BgrImage:
        """Draws the next frame."""
        count = self._clock.sample_of(self._frame + 1) - self._clock.sample_of(self._frame)
        heard = np.abs(self._pending[:count].astype(np.int32))
        self._pending = self._pending[count:]
        self._frame += 1
        return _card(self._video, white=bool(np.any(heard > self._click_level)))

    def idle_frame(self) -> int:
        """Returns the frame of the loop that follows."""
        return self._frame % self._video.frame_rate_hz


def _card(video: VideoSpec, *, white: bool) -> BgrImage:
    return np.full((video.height_px, video.width_px, 3), 255 if white else 0, np.uint8)
