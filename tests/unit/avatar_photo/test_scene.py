"""The motion of a speaking photo, measured by the same mesh as the photo."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from services.avatar.animation.animation import Animator
from services.avatar.animation.idle import IdleMotion
from services.avatar.animation.parameters import FaceParameters, HeadPose, MouthShape
from services.avatar.animation.visemes import VISEMES, target
from services.avatar.engine import BgrImage, VideoSpec
from services.avatar.photo.geometry import Geometry, measure
from services.avatar.photo.networks import FaceNetworks
from services.avatar.photo.package import PhotoPackage
from services.avatar.photo.picture import PhotoReader
from services.avatar.photo.scene import PhotoScene
from tests.unit.avatar_photo.conftest import make, png

WILD = FaceParameters(
    mouth=MouthShape(jaw=0.8, width=0.5, rounding=0.4),
    head=HeadPose(yaw=1, pitch=1, roll_deg=2, x=10, y=10),
    blink=0.5,
    gaze_x=1,
    gaze_y=-1,
    brow=1,
    breath=1,
)


def seen(picture: BgrImage, networks: FaceNetworks) -> Geometry:
    return measure(networks.locate(picture, networks.find(picture)[0]).points)


def speaking(**mouth: float) -> FaceParameters:
    return FaceParameters(mouth=MouthShape(**mouth))


def test_at_rest_it_is_the_photo_bit_for_bit(scene: PhotoScene, package: PhotoPackage) -> None:
    assert np.array_equal(scene.draw(FaceParameters()), package.portrait)


def test_the_same_parameters_draw_the_same_picture(scene: PhotoScene) -> None:
    first = scene.draw(WILD).copy()
    scene.draw(speaking(jaw=1))
    assert np.array_equal(scene.draw(WILD), first)


@pytest.mark.parametrize("viseme", sorted(VISEMES))
def test_speech_changes_nothing_outside_the_face(
    scene: PhotoScene, package: PhotoPackage, viseme: int
) -> None:
    changed = np.abs(
        scene.draw(FaceParameters(mouth=target(viseme))).astype(int) - package.portrait
    ).max(axis=2)
    rows, columns = np.nonzero(changed > 2)
    geometry = package.geometry
    places = geometry.axes.to_face(np.stack([columns, rows], axis=-1).astype(float))
    if not len(places):
        assert viseme == 1
        return
    assert places[:, 1].min() > max(eye.lower.v.max() for eye in geometry.eyes)
    assert places[:, 1].max() < geometry.chin + 0.45
    assert np.abs(places[:, 0]).max() < 0.52


def test_even_a_wild_face_leaves_the_background(scene: PhotoScene, package: PhotoPackage) -> None:
    changed = np.abs(scene.draw(WILD).astype(int) - package.portrait).max(axis=2)
    rows, columns = scene._head.box
    changed[rows, columns] = 0
    assert changed.max() == 0


def test_there_is_no_edge_where_the_moved_part_ends(scene: PhotoScene) -> None:
    on_the_way = [speaking(jaw=jaw, press=0.6, rounding=0.3) for jaw in (0.4, 1)]
    for face in (WILD, *on_the_way, *(FaceParameters(mouth=target(one)) for one in VISEMES)):
        picture = scene.draw(face).astype(int)
        height, width = picture.shape[:2]
        for rows, columns in (scene._head.box, scene._mouth.box):
            for line in (columns.start, columns.stop):
                if 2 < line < width - 2:
                    part = picture[rows, line - 3 : line + 3]
                    assert_no_edge(np.abs(np.diff(part, axis=1)).mean(axis=(0, 2)))
            for line in (rows.start, rows.stop):
                if 2 < line < height - 2:
                    part = picture[line - 3 : line + 3, columns]
                    assert_no_edge(np.abs(np.diff(part, axis=0)).mean(axis=(1, 2)))


def assert_no_edge(steps: np.ndarray) -> None:
    """The step at the line, the third of five, is like those beside it."""
    assert steps[2] < 1.5 * max(steps[[0, 1, 3, 4]]) + 1


def test_closing_visemes_close_a_smile_and_open_ones_open(
    scene: PhotoScene, networks: FaceNetworks
) -> None:
    gap = {
        viseme: seen(scene.draw(FaceParameters(mouth=target(viseme))), networks).gap
        for viseme in (2, 11, 14)
    }
    assert gap[2] < 0.04 < 0.06 < gap[11]
    assert gap[14] > 0.04


def test_the_corners_go_in_for_oo_and_out_for_ee(scene: PhotoScene, networks: FaceNetworks) -> None:
    rest = seen(scene.draw(speaking(press=1)), networks).half_mouth
    assert seen(scene.draw(speaking(width=1)), networks).half_mouth > 1.02 * rest
    assert seen(scene.draw(speaking(rounding=1, jaw=0.3)), networks).half_mouth < 0.92 * rest


def test_the_jaw_takes_the_chin_along_and_leaves_the_nose(
    scene: PhotoScene, networks: FaceNetworks, package: PhotoPackage
) -> None:
    rest = package.geometry
    opened = seen(scene.draw(speaking(jaw=1)), networks)
    chin, nose = (
        (
            opened.axes.to_pixels(np.array([0, getattr(opened, name)]))
            - rest.axes.to_pixels(np.array([0, getattr(rest, name)]))
        )[1]
        / rest.axes.unit
        for name in ("chin", "nose_base")
    )
    assert 0.03 < chin < 0.11
    assert abs(nose) < 0.02


def test_an_open_mouth_shows_no_lip_between_the_lips(
    scene: PhotoScene, package: PhotoPackage
) -> None:
    """The ghost of a smeared upper lip would be as bright as the lip in the middle of the hole."""
    picture = scene.draw(speaking(jaw=1))
    axes, upper_lip = package.geometry.axes, package.geometry.upper_lip
    edge = float(upper_lip.at(np.zeros(1))[0])
    lip_x, lip_y = np.round(axes.to_pixels(np.array([0.0, edge - 0.01]))).astype(int)
    x, y = np.round(axes.to_pixels(np.array([0.0, 0.087]))).astype(int)
    assert picture[y, x - 3 : x + 4].mean() < 0.6 * picture[lip_y, lip_x].mean()


def test_a_blink_closes_the_eyes_and_leaves_the_brows(
    scene: PhotoScene, networks: FaceNetworks, package: PhotoPackage
) -> None:
    closed = scene.draw(FaceParameters(blink=1))
    rest, shut = package.geometry, seen(closed, networks)
    for before, after in zip(rest.eyes, shut.eyes, strict=True):
        assert after.opening < 0.75 * before.opening
    changed = np.abs(closed.astype(int) - package.portrait).max(axis=2)
    for eye in rest.eyes:
        u = np.linspace(eye.brow.u[0], eye.brow.u[-1], 30)
        places = rest.axes.to_pixels(np.stack([u, eye.brow.at(u) - 0.012], axis=-1))
        pixels = np.round(places).astype(int)
        assert changed[pixels[:, 1], pixels[:, 0]].max() < 12
        white = np.round(rest.axes.to_pixels(eye.centre)).astype(int)
        assert changed[white[1], white[0]] > 30


def test_gaze_moves_the_iris_alone(scene: PhotoScene, package: PhotoPackage) -> None:
    changed = np.abs(scene.draw(FaceParameters(gaze_x=1)).astype(int) - package.portrait)
    rows, columns = np.nonzero(changed.max(axis=2) > 4)
    places = package.geometry.axes.to_face(np.stack([columns, rows], axis=-1).astype(float))
    eyes = package.geometry.eyes
    assert len(places) > 20
    near = [np.linalg.norm(places - eye.centre, axis=1) < 0.6 * eye.width for eye in eyes]
    assert np.all(near[0] | near[1])
    assert near[0].any()
    assert near[1].any()


def test_in_silence_the_mouth_is_still(
    scene: PhotoScene, networks: FaceNetworks, package: PhotoPackage
) -> None:
    motion = IdleMotion(frame_rate_hz=25)
    gaps = [
        seen(scene.draw(replace(motion.at(frame), blink=0)), networks).gap
        for frame in range(0, motion.frame_count, 10)
    ]
    assert np.ptp(gaps) < 0.01


def test_closed_lips_of_a_photo_open_and_close(
    scene: PhotoScene, reader: PhotoReader, networks: FaceNetworks
) -> None:
    closed = make(png(scene.draw(speaking(press=1))), reader, networks)
    other = PhotoScene(closed, closed.video)
    assert np.array_equal(other.draw(FaceParameters()), closed.portrait)
    assert seen(other.draw(speaking(jaw=1)), networks).gap > 0.06


@pytest.mark.parametrize(("width", "height"), [(1080, 1920), (1920, 1080), (64, 64), (640, 480)])
def test_other_sizes_show_the_same_face(
    package: PhotoPackage, networks: FaceNetworks, width: int, height: int
) -> None:
    scene = PhotoScene(package, VideoSpec(width_px=width, height_px=height, frame_rate_hz=25))
    for face in (FaceParameters(), WILD, speaking(jaw=1)):
        picture = scene.draw(face)
        assert picture.shape == (height, width, 3)
        assert picture.dtype == np.uint8
    if min(width, height) > 100:
        assert seen(scene.draw(speaking(press=1)), networks).gap < 0.045
        assert seen(scene.draw(speaking(jaw=1)), networks).gap > 0.06


def test_a_face_at_the_border_of_the_picture_is_drawn(
    package: PhotoPackage, reader: PhotoReader, networks: FaceNetworks, picture: BgrImage
) -> None:
    close = cv2.resize(picture[52:200, 160:290], None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    tight = make(png(np.asarray(close, np.uint8)), reader, networks)
    scene = PhotoScene(tight, tight.video)
    for face in (WILD, speaking(jaw=1), replace(WILD, blink=1)):
        assert scene.draw(face).shape == tight.portrait.shape


def test_idle_to_talk_to_idle_jumps_no_more_than_the_loop(scene: PhotoScene) -> None:
    idle = IdleMotion(frame_rate_hz=25)
    loop = [scene.draw(idle.at(frame)).astype(np.int16) for frame in range(50, 110)]
    largest = max(np.abs(b - a).mean() for a, b in pairwise(loop))
    animator = Animator(sample_rate_hz=16_000, frame_rate_hz=25, idle_frame=60, seed="turn")
    animator.add_audio(np.zeros(16_000, np.int16))
    animator.end_audio()
    spoken = [scene.draw(animator.next()).astype(np.int16) for _ in range(25)]
    after = scene.draw(idle.at(animator.idle_frame())).astype(np.int16)
    assert np.abs(spoken[0] - loop[9]).mean() <= 1.5 * largest
    assert np.abs(after - spoken[-1]).mean() <= 1.5 * largest
