"""Validates requests and converts them to the engine's types."""

from __future__ import annotations

from collections.abc import Sequence

from anima.avatar.v1 import Activity as WireActivity
from anima.avatar.v1 import RenderConfig
from anima.common.v1 import Marks, VideoCodec, VideoFormat, VisemeMark
from services.avatar.animation.visemes import VISEMES
from services.avatar.engine import Activity, AvatarInfo, VideoSpec, VisemeSpan
from services.runtime.errors import InvalidRequest, NotFound
from services.runtime.identity.caller import not_yours
from services.runtime.validation import check_range, check_rate, check_turn_id
from services.runtime.video_limits import check_video

MAX_SAMPLE = 2**53
MAX_VISEMES = 100_000
"""Maximum per turn: more than an hour of speech."""
_H264 = VideoCodec.VIDEO_CODEC_H264
_NO_CODEC = VideoCodec.VIDEO_CODEC_UNSPECIFIED
_ACTIVITIES: dict[int, Activity] = {
    WireActivity.ACTIVITY_UNSPECIFIED: Activity.IDLE,
    WireActivity.ACTIVITY_IDLE: Activity.IDLE,
    WireActivity.ACTIVITY_LISTENING: Activity.LISTENING,
    WireActivity.ACTIVITY_THINKING: Activity.THINKING,
}


def check_config(config: RenderConfig) -> None:
    """Rejects a config that cannot be rendered.

    Raises:
        InvalidRequest: A field is out of range.
    """
    check_turn_id("config.turn_id", config.turn_id)
    check_rate("config.sample_rate_hz", config.sample_rate_hz)


def choose_avatar(field: str, name: str, avatars: Sequence[AvatarInfo]) -> AvatarInfo:
    """Returns the avatar of that name, or the first one if the name is empty.

    Raises:
        NotFound: There is no avatar of that name.
    """
    if not name:
        return avatars[0]
    for avatar in avatars:
        if avatar.name == name:
            return avatar
    known = ", ".join(avatar.name for avatar in avatars)
    raise NotFound(f"{field}: there is no avatar {name[:64]!r}; known: {known}")


def choose_activity(field: str, activity: int) -> Activity:
    """Returns the engine's value for an activity of the contract.

    Raises:
        InvalidRequest: The activity is unknown.
    """
    if activity not in _ACTIVITIES:
        raise InvalidRequest(f"{field}: {activity} is not a known activity")
    return _ACTIVITIES[activity]


def choose_video(field: str, wanted: VideoFormat, own: VideoSpec) -> VideoSpec:
    """Returns the video to make: the requested values, and the avatar's own for those that are 0.

    Raises:
        InvalidRequest: The codec is not H.264, or a number is odd or out of range.
    """
    if wanted.codec not in (_NO_CODEC, _H264):
        raise InvalidRequest(f"{field}.codec: must be VIDEO_CODEC_H264, got {wanted.codec}")
    video = VideoSpec(
        width_px=wanted.width_px or own.width_px,
        height_px=wanted.height_px or own.height_px,
        frame_rate_hz=wanted.frame_rate_hz or own.frame_rate_hz,
    )
    check_video(
        field,
        width_px=video.width_px,
        height_px=video.height_px,
        frame_rate_hz=video.frame_rate_hz,
    )
    return video


class MarksReceiver:
    """Checks that the marks of one stream belong to its turn, are in order and fit its clock."""

    def __init__(self, *, turn_id: str) -> None:
        self._turn_id = turn_id
        self._last_start = 0
        self._count = 0

    def accept(self, marks: Marks, *, epoch: int, rendered_until: int) -> list[VisemeSpan]:
        """Validates marks and returns those to draw.

        Args:
            marks: As received. Their words are validated, but not used.
            epoch: The newest epoch of the stream; older marks are dropped.
            rendered_until: The sample up to which frames have been drawn.

        Returns:
            The mouth positions that may still be drawn, in order.

        Raises:
            InvalidRequest: The marks belong to another turn, a mouth position is unknown, or
                samples are out of order or range.
        """
        if marks.header.turn_id and marks.header.turn_id != self._turn_id:
            raise InvalidRequest(
                f"marks.header.turn_id: must be the stream's turn {self._turn_id!r}, "
                f"got {marks.header.turn_id[:64]!r}"
            )
        if marks.header.epoch < epoch:
            return []
        self._count += len(marks.visemes)
        if self._count > MAX_VISEMES:
            raise InvalidRequest(
                f"marks.visemes: must be at most {MAX_VISEMES} mouth positions per turn, "
                f"got {self._count}"
            )
        for index, word in enumerate(marks.words):
            _check_span(
                f"marks.words[{index}].samples",
                word.samples.start_sample,
                word.samples.sample_count,
            )
        spans = [self._span(index, mark) for index, mark in enumerate(marks.visemes)]
        return [span for span in spans if span.sample_count and span.end_sample > rendered_until]

    def _span(self, index: int, mark: VisemeMark) -> VisemeSpan:
        field = f"marks.visemes[{index}]"
        start, count = mark.samples.start_sample, mark.samples.sample_count
        if mark.viseme not in VISEMES:
            raise InvalidRequest(f"{field}.viseme: {mark.viseme} is not a known mouth position")
        _check_span(f"{field}.samples", start, count)
        if start < self._last_start:
            raise InvalidRequest(
                f"{field}.samples.start_sample: must be at least {self._last_start}, the start of "
                f"the previous mark, got {start}"
            )
        check_range(f"{field}.stress", mark.stress, 0, 2)
        self._last_start = start
        return VisemeSpan(
            viseme=mark.viseme, start_sample=start, sample_count=count, stress=mark.stress
        )


def _check_span(field: str, start: int, count: int) -> None:
    check_range(f"{field}.start_sample", start, 0, MAX_SAMPLE)
    check_range(f"{field}.sample_count", count, 0, MAX_SAMPLE - start)


def check_owner(user_id: str, owner: str) -> None:
    """Checks that a user may replace or delete an avatar.

    Args:
        user_id: The user; empty: the installation, which may all.
        owner: The owner of the avatar; empty: nobody in particular.

    Raises:
        PermissionDenied: It belongs to another user, or to the installation.
    """
    if user_id and user_id != owner:
        raise not_yours("name: this avatar belongs to somebody else; choose another name")
