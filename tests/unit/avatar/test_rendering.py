from itertools import pairwise

import numpy as np
import pytest

from services.avatar.animation.parameters import FaceParameters, HeadPose, MouthShape
from services.avatar.animation.visemes import VISEMES, target
from services.avatar.engine import BgrImage, VideoSpec
from services.avatar.engines.painted import PaintedFaces
from services.avatar.painted.package import AvatarPackage
from services.avatar.painted.scene import Scene
from tests.unit.avatar.speech import AA, IH, OU, PP, RATE, SIL, silence, spans, vowel

VIDEO = VideoSpec(width_px=512, height_px=512, frame_rate_hz=25)


@pytest.fixture(scope="module")
def scene(package: AvatarPackage) -> Scene:
    return Scene(package, VIDEO)


def mouth_of(scene: Scene, shape: MouthShape) -> BgrImage:
    return scene.draw(FaceParameters(mouth=shape))


def opening(picture: BgrImage, package: AvatarPackage) -> float:
    """Height of what is seen between the lips in the mouth's middle, in face heights.

    Measured in pixels: the dark of the mouth, its teeth and tongue against the lips' colours.
    """
    mouth, head = package.manifest.mouth, package.manifest.head
    x = round(mouth.centre[0])
    column = picture[round(mouth.centre[1]) - 25 : round(mouth.centre[1]) + 45, x - 1 : x + 2]
    blue, _, red = column.astype(int).mean(axis=1).T
    dark = red < 160
    teeth = (red > 120) & (blue > 0.8 * red)
    inside = np.flatnonzero(dark | teeth)
    return float(inside[-1] - inside[0] + 1) / head.height if len(inside) > 2 else 0.0


def test_the_mouth_is_open_in_vowels_and_closed_at_rest_and_in_closures(
    scene: Scene, package: AvatarPackage
) -> None:
    rest, pressed = mouth_of(scene, MouthShape()), mouth_of(scene, MouthShape(press=1))
    wide = mouth_of(scene, target(11))
    assert opening(rest, package) < 0.01
    assert opening(pressed, package) < 0.01
    assert opening(wide, package) > 0.05
    assert opening(mouth_of(scene, target(12)), package) > 0.03


def test_visemes_look_different(scene: Scene) -> None:
    looks = {viseme: mouth_of(scene, target(viseme)).astype(int) for viseme in sorted(VISEMES)}
    for (a, one), (b, other) in pairwise(looks.items()):
        assert np.abs(one - other).max() > 30, (a, b)


def test_the_mouth_changes_nothing_but_the_lower_face(scene: Scene, package: AvatarPackage) -> None:
    rest, wide = mouth_of(scene, MouthShape()), mouth_of(scene, MouthShape(jaw=1))
    changed = np.argwhere((rest != wide).any(axis=2))
    head = package.manifest.head
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    assert top > package.manifest.mouth.centre[1] - 0.15 * head.height
    assert bottom < head.chin + 0.2 * head.height
    assert left > head.left - 0.2 * head.height
    assert right < head.right + 0.2 * head.height


def test_a_blink_changes_nothing_but_the_eyes(scene: Scene, package: AvatarPackage) -> None:
    eyes = package.manifest.eyes
    open_eyes, closed = scene.draw(FaceParameters()), scene.draw(FaceParameters(blink=1))
    rows = np.argwhere((open_eyes != closed).any(axis=2))[:, 0]
    assert rows.min() > eyes.left[1] - eyes.half_width
    assert rows.max() < eyes.left[1] + eyes.half_width
    x, y = (round(v) for v in eyes.left)
    assert open_eyes[y, x].max() < 90, "pupil"
    assert closed[y - 3, x].min() > 90, "lid"


def test_the_background_never_moves(scene: Scene) -> None:
    still = scene.draw(FaceParameters())
    moved = scene.draw(
        FaceParameters(head=HeadPose(1, 1, 2, 8, 8), mouth=MouthShape(jaw=1), breath=1, brow=1)
    )
    assert (still != moved).any()
    for corner in (np.s_[:30], np.s_[:380, :80], np.s_[:380, -80:]):
        assert np.array_equal(still[corner], moved[corner])


def test_drawing_leaves_no_trace(scene: Scene) -> None:
    first = scene.draw(FaceParameters())
    scene.draw(FaceParameters(mouth=MouthShape(jaw=1), blink=1, breath=1))
    assert np.array_equal(first, scene.draw(FaceParameters()))


@pytest.mark.parametrize(
    ("width", "height"), [(64, 64), (1920, 64), (64, 1920), (720, 1280), (1280, 720), (194, 130)]
)
def test_any_size_can_be_drawn(package: AvatarPackage, width: int, height: int) -> None:
    video = VideoSpec(width_px=width, height_px=height, frame_rate_hz=25)
    scene = Scene(package, video)
    rest = scene.draw(FaceParameters())
    talking = scene.draw(FaceParameters(mouth=MouthShape(jaw=1), blink=0.5, head=HeadPose(1, 1, 2)))
    assert rest.shape == (height, width, 3)
    assert (rest != talking).any()


def test_the_idle_loop_repeats_without_a_jump(painted: PaintedFaces) -> None:
    video = VideoSpec(width_px=256, height_px=256, frame_rate_hz=25)
    frames = [f.astype(np.int16) for f in painted.idle_loop(avatar="anima", video=video)]
    steps = [float(np.abs(b - a).mean()) for a, b in pairwise(frames)]
    assert len(frames) == 200
    assert float(np.abs(frames[0] - frames[-1]).mean()) <= max(steps)


@pytest.mark.parametrize("avatar", ["anima", "leo"])
def test_talk_joins_the_idle_loop_without_a_jump(painted: PaintedFaces, avatar: str) -> None:
    video = VideoSpec(width_px=256, height_px=256, frame_rate_hz=25)
    loop = [f.astype(np.int16) for f in painted.idle_loop(avatar=avatar, video=video)]
    largest = max(float(np.abs(b - a).mean()) for a, b in pairwise([*loop, loop[0]]))
    marks = spans((SIL, 0.05), (AA, 0.2), (PP, 0.1), (IH, 0.2), (OU, 0.2), (SIL, 0.25))
    cases = [(first, marks, silence(1)) for first in (0, 20, 57, 70, 150)]
    cases += [(first, [], vowel(1)) for first in (30, 165)]
    for first, spoken, audio in cases:
        face = painted.open_stream(
            avatar=avatar, video=video, sample_rate_hz=RATE, turn_id="t", idle_frame=first
        )
        face.add_visemes(spoken)
        face.add_audio(audio)
        face.end_audio()
        talk = [face.draw_next().astype(np.int16) for _ in range(25)]
        assert max(float(np.abs(f - talk[0]).mean()) for f in talk) > largest, "it speaks"
        assert float(np.abs(talk[0] - loop[first - 1]).mean()) <= 1.5 * largest
        after = loop[face.idle_frame()]
        assert float(np.abs(after - talk[-1]).mean()) <= 1.5 * largest
