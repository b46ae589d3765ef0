"""The parameters of a face, from animation to renderer; all zero is the neutral face."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MouthShape:
    """A mouth shape; all zero is closed and at rest.

    Attributes:
        jaw: How far the jaw is open, 0 to 1 (a wide "ah").
        width: How far the corners are drawn apart, 0 to 1.
        rounding: How far the lips are rounded and pushed forward, 0 to 1.
        press: How firmly the lips are pressed together, 0 to 1.
        tuck: How far the lower lip lies under the upper teeth, 0 to 1.
        tongue: How far the tip of the tongue is raised to the upper teeth, 0 to 1.
    """

    jaw: float = 0.0
    width: float = 0.0
    rounding: float = 0.0
    press: float = 0.0
    tuck: float = 0.0
    tongue: float = 0.0


@dataclass(frozen=True, slots=True)
class HeadPose:
    """The pose of the head.

    Attributes:
        yaw: Turn to the picture's right, -1 to 1; 1 is about 8 degrees.
        pitch: Nod downwards, -1 to 1.
        roll_deg: Tilt, clockwise in the picture, in degrees.
        x: Shift to the right in thousandths of the face height.
        y: Shift downwards in thousandths of the face height.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll_deg: float = 0.0
    x: float = 0.0
    y: float = 0.0

    def plus(self, other: HeadPose) -> HeadPose:
        """Returns the sum of both motions."""
        return HeadPose(
            self.yaw + other.yaw,
            self.pitch + other.pitch,
            self.roll_deg + other.roll_deg,
            self.x + other.x,
            self.y + other.y,
        )


@dataclass(frozen=True, slots=True)
class FaceParameters:
    """The parameters of one frame.

    Attributes:
        mouth: The mouth.
        head: The head.
        blink: How far the eyelids are closed, 0 to 1.
        gaze_x: Horizontal gaze, -1 (left) to 1.
        gaze_y: Vertical gaze, -1 (up) to 1.
        brow: How far the brows are raised, 0 to 1.
        breath: How full the chest is, 0 to 1.
    """

    mouth: MouthShape = field(default_factory=MouthShape)
    head: HeadPose = field(default_factory=HeadPose)
    blink: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    brow: float = 0.0
    breath: float = 0.0
